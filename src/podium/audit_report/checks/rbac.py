"""Roles and bindings that allow more than somebody needs."""

from __future__ import annotations

from collections.abc import Iterator

from podium.audit_report.bootstrap import is_added, is_bootstrap
from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Path, Problem, Rule, Severity
from podium.audit_report.workloads import as_list, as_object, texts
from podium.machinery.errors import Object

GROUP = "rbac.authorization.k8s.io"
MASTERS = "system:masters"

WILDCARD_VERBS = Rule(
    id="rbac-wildcard-verbs",
    severity=Severity.HIGH,
    title="A role allows every verb",
    why="That includes deleting, and verbs that grant rights; new ones are allowed as they come.",
    fix="Name the verbs.",
)
WILDCARD_RESOURCES = Rule(
    id="rbac-wildcard-resources",
    severity=Severity.HIGH,
    title="A role is about every resource of a group",
    why="That includes secrets and subresources such as pods/exec, and whatever is added later.",
    fix="Name the resources.",
)
WILDCARD_GROUPS = Rule(
    id="rbac-wildcard-groups",
    severity=Severity.MEDIUM,
    title="A role is about every API group",
    why="Resources of other groups may have the same name, and groups are added by extensions.",
    fix="Name the groups.",
)
CLUSTER_ADMIN = Rule(
    id="rbac-cluster-admin",
    severity=Severity.HIGH,
    title="Somebody is bound to cluster-admin",
    why="They may do everything: in the whole cluster, or by a RoleBinding in its namespace.",
    fix="Bind a role that allows what is needed.",
)
TO_MASTERS = Rule(
    id="rbac-masters",
    severity=Severity.CRITICAL,
    title="A binding is about system:masters",
    why="Members may do everything whatever roles say, and removing the binding does not stop them.",
    fix="Bind another group, and issue no certificates for system:masters.",
)
TO_ANYBODY = Rule(
    id="rbac-unauthenticated",
    severity=Severity.CRITICAL,
    title="A role is bound to people that nobody knows",
    why="Whoever reaches the API server may do it, without credentials.",
    fix="Remove system:unauthenticated and system:anonymous from the subjects.",
)
TO_EVERYBODY = Rule(
    id="rbac-authenticated",
    severity=Severity.HIGH,
    title="A role is bound to everybody with credentials",
    why="Every user and every pod with a token may do it.",
    fix="Bind single groups or service accounts.",
)
TO_DEFAULT_ACCOUNT = Rule(
    id="rbac-default-account",
    severity=Severity.HIGH,
    title="A role is bound to default service accounts",
    why="Every pod that names no service account may do it.",
    fix="Make a ServiceAccount for the program that needs it, and bind that.",
)
ESCALATE = Rule(
    id="rbac-escalate",
    severity=Severity.HIGH,
    title="A role allows to escalate, bind or impersonate",
    why="With these verbs one may give oneself any right, or act as anybody.",
    fix="Remove the verb, or name the single objects in resourceNames.",
)
READS_SECRETS = Rule(
    id="rbac-read-secrets",
    severity=Severity.HIGH,
    title="A role allows to read secrets",
    why="They hold passwords and tokens; list and watch show their content as get does.",
    fix="Name the single Secrets in resourceNames, or mount them into the pod that needs them.",
)
EXEC = Rule(
    id="rbac-pods-exec",
    severity=Severity.HIGH,
    title="A role allows to get into pods",
    why="In a container one may do what it may, with its token, its secrets and its connections.",
    fix="Remove pods/exec, pods/attach and pods/portforward.",
)
NODES_PROXY = Rule(
    id="rbac-nodes-proxy",
    severity=Severity.HIGH,
    title="A role allows to speak to kubelets",
    why="By way of nodes/proxy one may run commands in every container of a node, past audit and admission.",
    fix="Use nodes/metrics, nodes/stats or nodes/log.",
)
TOKEN_REQUEST = Rule(
    id="rbac-token-request",
    severity=Severity.HIGH,
    title="A role allows to make tokens of service accounts",
    why="Who makes a token of a service account may do whatever that may.",
    fix="Name the service accounts in resourceNames.",
)
TO_BOOTSTRAP = Rule(
    id="rbac-bootstrap-binding",
    severity=Severity.HIGH,
    title="A subject was added to a binding that the cluster has made for itself",
    why="Nobody looks for rights there, and an upgrade may extend them.",
    fix="Remove the subject, and give it a binding of its own.",
)

_ESCALATING = {
    "escalate": ("roles", "clusterroles"),
    "bind": ("roles", "clusterroles"),
    "impersonate": ("users", "groups", "serviceaccounts", "userextras", "uids"),
}
_READING = ("get", "list", "watch")
_INTO_PODS = ("pods/exec", "pods/attach", "pods/portforward", "*/exec", "*/attach", "*/portforward")
_TO_KUBELETS = ("nodes/proxy", "*/proxy")
_TOKENS = ("serviceaccounts/token", "*/token")


def _check(obj: Object, context: Context) -> Iterator[Problem]:
    if not str(obj.get("apiVersion") or "").startswith(f"{GROUP}/"):
        return
    match obj.get("kind"):
        case "Role" | "ClusterRole":
            for index, rule in enumerate(as_list(obj.get("rules"))):
                yield from _rule(as_object(rule), ("rules", index))
        case "RoleBinding" | "ClusterRoleBinding":
            yield from _binding(obj, is_own=is_bootstrap(obj) and not context.system)


def _rule(rule: Object, path: Path) -> Iterator[Problem]:
    verbs, groups, resources = (texts(rule.get(name)) for name in ("verbs", "apiGroups", "resources"))
    named = texts(rule.get("resourceNames"))
    for values, field, found in (
        (verbs, "verbs", WILDCARD_VERBS),
        (resources, "resources", WILDCARD_RESOURCES),
        (texts(rule.get("nonResourceURLs")), "nonResourceURLs", WILDCARD_RESOURCES),
        (groups, "apiGroups", WILDCARD_GROUPS),
    ):
        if "*" in values:
            about = ", ".join(resources or texts(rule.get("nonResourceURLs")))
            detail = f"of {about}" if field == "verbs" else f"{field} holds *"
            yield Problem(found, (*path, field, values.index("*")), detail)
    # A wildcard says it all; what it includes is not told again.
    for verb, targets in _ESCALATING.items():
        if (
            verb in verbs
            and not named
            and (hit := [one for one in resources if one.partition("/")[0] in (*targets, "*")])
        ):
            detail = f"{verb} of {', '.join(hit)}"
            yield Problem(ESCALATE, (*path, "verbs", verbs.index(verb)), detail)
    if not {"", "*"} & set(groups):
        return
    if "secrets" in resources:
        reading = [verb for verb in verbs if verb in (*_READING, "*")]
        # With names, even list and watch are allowed for single objects alone.
        if reading and not named:
            at = (*path, "resources", resources.index("secrets"))
            yield Problem(READS_SECRETS, at, f"{', '.join(reading)} of secrets")
    for one in resources:
        at = (*path, "resources", resources.index(one))
        if one in _INTO_PODS and {"create", "get", "*"} & set(verbs):
            yield Problem(EXEC, at, one)
        if one in _TO_KUBELETS:
            yield Problem(NODES_PROXY, at, f"{', '.join(verbs)} of {one}")
        if one in _TOKENS and {"create", "*"} & set(verbs) and not named:
            yield Problem(TOKEN_REQUEST, at, one)


def _binding(binding: Object, *, is_own: bool) -> Iterator[Problem]:
    """Judge a binding; of the cluster's own, what somebody has added to it."""
    reference = as_object(binding.get("roleRef"))
    role = str(reference.get("name") or "")
    numbered = [(index, as_object(one)) for index, one in enumerate(as_list(binding.get("subjects")))]
    if is_own:
        numbered = [(index, one) for index, one in numbered if is_added(binding, one)]
    subjects = [one for _, one in numbered]
    if role == "cluster-admin" and reference.get("kind") == "ClusterRole" and subjects:
        wide = binding.get("kind") == "ClusterRoleBinding"
        who = ", ".join(str(one.get("name") or "") for one in subjects)
        where = "the whole cluster" if wide else "its namespace"
        yield Problem(CLUSTER_ADMIN, ("roleRef", "name"), f"{who} may do everything in {where}")
    for index, subject in numbered:
        kind, name = subject.get("kind"), str(subject.get("name") or "")
        path: Path = ("subjects", index, "name")
        detail = f"{name} is bound to {role}"
        if is_own:
            yield Problem(TO_BOOTSTRAP, path, f"{name} was added to those who have {role}")
        if kind == "Group" and name == MASTERS:
            yield Problem(TO_MASTERS, path, detail)
        elif (kind, name) in (("Group", "system:unauthenticated"), ("User", "system:anonymous")):
            yield Problem(TO_ANYBODY, path, detail)
        elif kind == "Group" and name in ("system:authenticated", "system:serviceaccounts"):
            yield Problem(TO_EVERYBODY, path, detail)
        elif (kind == "Group" and name.startswith("system:serviceaccounts:")) or (
            kind == "User" and name.startswith("system:serviceaccount:") and name.endswith(":default")
        ):
            yield Problem(TO_DEFAULT_ACCOUNT, path, detail)
        elif kind == "ServiceAccount" and name == "default":
            namespace = subject.get("namespace") or as_object(binding.get("metadata")).get("namespace") or ""
            yield Problem(TO_DEFAULT_ACCOUNT, path, f"default of {namespace} is bound to {role}")


RBAC = Family(
    name="RBAC",
    rules=(
        *(WILDCARD_VERBS, WILDCARD_RESOURCES, WILDCARD_GROUPS, CLUSTER_ADMIN, TO_MASTERS, TO_ANYBODY),
        *(TO_EVERYBODY, TO_DEFAULT_ACCOUNT, TO_BOOTSTRAP, ESCALATE, READS_SECRETS, EXEC, NODES_PROXY),
        TOKEN_REQUEST,
    ),
    check=_check,
)
