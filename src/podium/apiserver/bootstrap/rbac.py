"""The default roles and bindings as objects, and how ones that exist already are brought up to date."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from podium.apiserver.authz.rbac import GROUP, aggregate
from podium.apiserver.authz.rules import uncovered
from podium.apiserver.bootstrap.controllers import CONTROLLERS, OPTIONAL
from podium.apiserver.bootstrap.roles import (
    AGGREGATED_TO,
    AGGREGATES,
    BINDINGS,
    CLOUD_CONTROLLER_MANAGER,
    CLUSTER_ROLES,
    NAMESPACE_BINDINGS,
    NAMESPACE_ROLES,
    PODIUM_DNS,
)
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.feature_gates import FeatureGates

API_VERSION = f"{GROUP}/v1"
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
BOOTSTRAPPING = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AGGREGATE_LABEL = "rbac.authorization.k8s.io/aggregate-to-"
_CONTROLLER_PREFIX = "system:controller:"

# For those who run a controller manager without --use-service-account-credentials: the sum of what its
# controllers need. It is theirs to bind; nobody has it by default.
CONTROLLERS_ROLE = "system:podium-controllers"


def _controllers(gates: FeatureGates) -> Mapping[str, tuple[Object, ...]]:
    chosen = dict(CONTROLLERS)
    for gate, controllers in OPTIONAL.items():
        if gates.knows(gate) and gates.enabled(gate):
            for name, rules in controllers.items():
                chosen[name] = (*chosen.get(name, ()), *rules)
    return chosen


def cluster_roles(gates: FeatureGates) -> list[Object]:
    """Return the default ClusterRoles; aggregates with the rules that aggregation gives them."""
    controllers = _controllers(gates)
    roles: dict[str, Object] = {}
    for name, rules in CLUSTER_ROLES.items():
        roles[name] = _cluster_role(name, rules)
    for name, rules in controllers.items():
        roles[_CONTROLLER_PREFIX + name] = _cluster_role(_CONTROLLER_PREFIX + name, rules)
    for name, rules in (
        ("system:podium-dns", PODIUM_DNS),
        ("system:cloud-controller-manager", CLOUD_CONTROLLER_MANAGER),
    ):
        roles[name] = _cluster_role(name, rules)
    roles[CONTROLLERS_ROLE] = _cluster_role(CONTROLLERS_ROLE, _sum(controllers.values()))
    for name in AGGREGATES:
        role = _cluster_role(name, ())
        role["aggregationRule"] = {
            "clusterRoleSelectors": [{"matchLabels": {_AGGREGATE_LABEL + name: "true"}}]
        }
        roles[name] = role
    for name in AGGREGATES:
        roles[name]["rules"] = aggregate(roles[name], roles)
    return list(roles.values())


def cluster_role_bindings(gates: FeatureGates) -> list[Object]:
    """Return the default ClusterRoleBindings, of the same roles."""
    bindings = [_binding("ClusterRole", name, name, subjects) for name, subjects in BINDINGS.items()]
    for name in _controllers(gates):
        subject = f"ServiceAccount:kube-system/{name}"
        bindings.append(
            _binding("ClusterRole", _CONTROLLER_PREFIX + name, _CONTROLLER_PREFIX + name, subject)
        )
    return bindings


def roles() -> list[Object]:
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "Role",
            "metadata": _metadata(name, namespace),
            "rules": list(rules),
        }
        for namespace, named in NAMESPACE_ROLES.items()
        for name, rules in named.items()
    ]


def role_bindings() -> list[Object]:
    return [
        _binding("Role", name, role, subjects, namespace)
        for namespace, named in NAMESPACE_BINDINGS.items()
        for name, (role, subjects) in named.items()
    ]


def node_rules() -> tuple[Object, ...]:
    """Return the rules that hold for every node, for the Node authorizer."""
    return CLUSTER_ROLES["system:node"]


# --- what exists already


def reconciled_role(wanted: Object, current: Object) -> Object | None:
    """Return `current` with what it lacks of `wanted`; None when nothing is to be done.

    Nothing is taken away: an administrator may have added to a default role. One annotated
    `autoupdate: "false"` is left alone.
    """
    if not _follows_updates(current):
        return None
    new = _with_metadata(wanted, current)
    rules = current.get("rules") or []
    # Comparing is cheap; working out what covers what is not, and hardly ever needed.
    missing = [rule for rule in wanted["rules"] if rule not in rules and uncovered(rules, (rule,))]
    if missing:
        new["rules"] = [*rules, *missing]
    selectors = (current.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    wanted_selectors = (wanted.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    lacking = [selector for selector in wanted_selectors if selector not in selectors]
    if lacking:
        new["aggregationRule"] = {"clusterRoleSelectors": [*selectors, *lacking]}
    return new if new != current else None


def reconciled_binding(wanted: Object, current: Object) -> Object | None:
    """Return `current` with the subjects it lacks; None when nothing is to be done.

    A binding to another role is somebody's own and left alone: a roleRef cannot be changed, and taking the
    binding away for a moment would cut off those who use it.
    """
    if not _follows_updates(current) or current.get("roleRef") != wanted["roleRef"]:
        return None
    new = _with_metadata(wanted, current)
    held = current.get("subjects") or []
    missing = [s for s in wanted.get("subjects") or () if _identity(s) not in map(_identity, held)]
    if missing:
        new["subjects"] = [*held, *missing]
    return new if new != current else None


def _follows_updates(current: Object) -> bool:
    return meta.annotations(current).get(AUTOUPDATE) != "false"


def _with_metadata(wanted: Object, current: Object) -> Object:
    new = meta.copy_path(current, "metadata")
    for part, held in (("labels", meta.labels(current)), ("annotations", meta.annotations(current))):
        needed = wanted["metadata"][part]
        if any(held.get(key) != value for key, value in needed.items()):
            new["metadata"][part] = {**held, **needed}
    return new


def _identity(subject: Object) -> tuple[str, str, str]:
    return subject.get("kind", ""), subject.get("namespace") or "", subject.get("name", "")


# --- building


def _metadata(name: str, namespace: str = "") -> Object:
    labels = dict(BOOTSTRAPPING)
    if not namespace and name in AGGREGATED_TO:
        labels[_AGGREGATE_LABEL + AGGREGATED_TO[name]] = "true"
    metadata: Object = {"name": name, "labels": labels, "annotations": {AUTOUPDATE: "true"}}
    if namespace:
        metadata["namespace"] = namespace
    return metadata


def _cluster_role(name: str, rules: Iterable[Object]) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterRole",
        "metadata": _metadata(name),
        "rules": list(rules),
    }


def _binding(role_kind: str, name: str, role: str, subjects: str, namespace: str = "") -> Object:
    binding: Object = {
        "apiVersion": API_VERSION,
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {**_metadata(name, namespace), "labels": dict(BOOTSTRAPPING)},
        "roleRef": {"apiGroup": GROUP, "kind": role_kind, "name": role},
    }
    if subjects:
        binding["subjects"] = list(_subjects(subjects))
    return binding


def _subjects(text: str) -> Iterator[Object]:
    for word in text.split():
        kind, _, name = word.partition(":")
        if kind == "ServiceAccount":
            namespace, _, account = name.partition("/")
            yield {"kind": kind, "name": account, "namespace": namespace}
        else:
            yield {"kind": kind, "apiGroup": GROUP, "name": name}


def _sum(sets: Iterable[tuple[Object, ...]]) -> list[Object]:
    """Return all rules, each once, those on the same resources merged."""
    merged: dict[tuple[str, ...], Object] = {}
    for rules in sets:
        for rule in rules:
            key = ("", *rule["apiGroups"], "", *rule["resources"], "", *rule.get("resourceNames", ()))
            known = merged.setdefault(key, {**rule, "verbs": []})
            known["verbs"] = sorted({*known["verbs"], *rule["verbs"]})
    return list(merged.values())
