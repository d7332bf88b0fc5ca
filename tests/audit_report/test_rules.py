"""Each rule with objects that break it, and with one that is so close that it nearly does."""

from __future__ import annotations

from typing import Any

import pytest

from podium.audit_report.catalogue import RULES
from podium.audit_report.checks.images import Image, parse
from podium.audit_report.finding import Severity, shown
from podium.machinery.errors import Object
from tests.audit_report.building import (
    GUARDS,
    OWN,
    binding,
    broken,
    container,
    in_namespace,
    namespace,
    problems,
    role,
    security,
    workload,
)

TEMPLATE = "spec.template.spec"
FIRST = f"{TEMPLATE}.containers[0]"
PROBE = {"exec": {"command": ["x"]}}


def secured(**changes: Any) -> Object:
    return workload(container(securityContext=security(**changes)))


def running(*command: str, **more: Any) -> Object:
    return workload(container(command=list(command), **more))


def variable(name: str, value: str) -> Object:
    return workload(container(env=[{"name": name, "value": value}]))


def own_binding(name: str, kind: str, subject: str, **more: Any) -> Object:
    """Return a binding that a cluster makes for itself, with another subject."""
    made = binding(kind, subject, name, metadata={"name": name, "labels": OWN}, **more)
    # That somebody is bound to the ClusterRole cluster-admin has a rule of its own.
    return {**made, "roleRef": {"kind": "Role", "name": name}}


def at(rule: str, severity: Severity | None = None, path: str = "") -> tuple[str, Severity | None, str]:
    return rule, severity, path


BAD: list[tuple[tuple[str, Severity | None, str], Object]] = [
    # isolation
    (at("privileged", path=f"{FIRST}.securityContext.privileged"), secured(privileged=True, allowPrivilegeEscalation=None)),
    (at("host-namespaces", path=f"{TEMPLATE}.hostNetwork"), workload(hostNetwork=True)),
    (at("host-namespaces"), workload(hostPID=True)),
    (at("host-namespaces"), workload(hostIPC=True)),
    (at("host-path", path=f"{TEMPLATE}.volumes[1].hostPath"), workload(volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "hostPath": {"path": "/"}}])),
    (at("added-capabilities", path=f"{FIRST}.securityContext.capabilities.add"), secured(capabilities={"drop": ["ALL"], "add": ["SYS_ADMIN"]})),
    (at("capabilities-kept"), secured(capabilities={"drop": ["NET_RAW"]})),
    (at("run-as-root", Severity.MEDIUM, f"{FIRST}.securityContext.runAsNonRoot"), secured(runAsNonRoot=None)),
    (at("run-as-root", Severity.HIGH, f"{FIRST}.securityContext.runAsUser"), secured(runAsNonRoot=None, runAsUser=0)),
    (at("writable-root-filesystem"), secured(readOnlyRootFilesystem=None)),
    (at("privilege-escalation"), secured(allowPrivilegeEscalation=None)),
    (at("seccomp", path=f"{FIRST}.securityContext.seccompProfile"), secured(seccompProfile=None)),
    (at("seccomp"), secured(seccompProfile={"type": "Unconfined"})),
    (at("privileged", path=f"{TEMPLATE}.initContainers[0].securityContext.privileged"), workload(initContainers=[container(securityContext=security(privileged=True))])),
    # accounts
    (at("default-service-account"), workload(serviceAccountName=None)),
    (at("automounted-token"), workload(automountServiceAccountToken=None)),
    # health
    (at("missing-liveness-probe", path=f"{FIRST}.livenessProbe"), workload(container(livenessProbe=None))),
    (at("missing-readiness-probe"), workload(container(readinessProbe=None))),
    (at("missing-limits"), workload(container(resources={"requests": {"cpu": 1, "memory": 1}}))),
    # images
    (at("image-tag", path=f"{FIRST}.image"), workload(container(image="registry.example.com/app"))),
    (at("image-tag"), workload(container(image="registry.example.com:5000/app:latest"))),
    (at("image-tag", path=f"{TEMPLATE}.volumes[0].image.reference"), workload(volumes=[{"name": "a", "image": {"reference": "registry.example.com/data"}}])),
    # secrets
    (at("plain-secret", path=f"{FIRST}.env[0].value"), variable("DB_PASSWORD", "hunter2")),
    (at("plain-secret"), variable("GITHUB_TOKEN", "x")),
    (at("plain-secret"), variable("PGPASSWORD", "x")),
    (at("plain-secret"), variable("apiToken", "x")),
    (at("plain-secret"), variable("aws_secret_access_key", "x")),
    (at("plain-secret"), variable("DATABASE_URL", "postgres://me:hunter2@db/x")),
    (at("plain-secret"), variable("CERT", "-----BEGIN RSA PRIVATE KEY-----")),
    (at("secret-in-environment", path=f"{FIRST}.env[0].valueFrom.secretKeyRef"), workload(container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]))),
    (at("secret-in-environment", path=f"{FIRST}.envFrom[0].secretRef"), workload(container(envFrom=[{"secretRef": {"name": "s"}}]))),
    # processes
    (at("several-processes", path=f"{FIRST}.command"), running("sh", "-c", "nginx & php-fpm")),
    (at("several-processes", path=f"{FIRST}.args"), running("/bin/bash", "-c", args=["a &\nb\nwait"])),
    (at("several-processes"), running("/usr/bin/supervisord", "-n")),
    (at("several-processes"), running("sh", "-c", "exec supervisord -c /etc/s.conf")),
    (at("several-processes"), running("/sbin/init")),
    # labels
    (at("missing-labels", path="metadata.labels"), workload(metadata={"labels": {}})),
    # rbac
    (at("rbac-wildcard-verbs", path="rules[0].verbs[1]"), role("get", "*")),
    (at("rbac-wildcard-resources"), role("get", on="*")),
    (at("rbac-wildcard-groups"), role("get", group="*")),
    (at("rbac-escalate"), role("escalate", on="clusterroles", group="rbac.authorization.k8s.io")),
    (at("rbac-escalate"), role("bind", on="roles", group="rbac.authorization.k8s.io")),
    (at("rbac-escalate"), role("impersonate", on="users groups")),
    (at("rbac-escalate"), role("impersonate", on="userextras/scopes", group="authentication.k8s.io")),
    (at("rbac-read-secrets", path="rules[0].resources[1]"), role("list", on="pods secrets")),
    (at("rbac-read-secrets"), role("watch", on="secrets")),
    (at("rbac-pods-exec"), role("create", on="pods/exec")),
    (at("rbac-pods-exec"), role("get", on="pods/portforward")),
    (at("rbac-pods-exec"), role("create", on="*/exec")),
    (at("rbac-nodes-proxy"), role("get", on="nodes/proxy")),
    (at("rbac-token-request", path="rules[0].resources[0]"), role("create", on="serviceaccounts/token")),
    (at("rbac-wildcard-resources", path="rules[0].nonResourceURLs[0]"), role("get", nonResourceURLs=["*"], apiGroups=[], resources=[])),
    (at("rbac-bootstrap-binding", path="subjects[0].name"), own_binding("cluster-admin", "Group", "team")),
    (at("rbac-bootstrap-binding"), own_binding("system:kube-dns", "ServiceAccount", "kube-dns", namespace="a")),
    (at("rbac-bootstrap-binding"), own_binding("system:discovery", "User", "alice")),
    # The label alone, or the name alone, hides nothing.
    (at("rbac-masters"), binding("Group", "system:masters", metadata={"labels": OWN})),
    (at("rbac-masters"), binding("Group", "system:masters", metadata={"name": "system:mine"})),
    (at("rbac-cluster-admin", path="roleRef.name"), binding("User", "alice", "cluster-admin")),
    (at("rbac-masters", path="subjects[0].name"), binding("Group", "system:masters")),
    (at("rbac-unauthenticated"), binding("Group", "system:unauthenticated")),
    (at("rbac-unauthenticated"), binding("User", "system:anonymous")),
    (at("rbac-authenticated"), binding("Group", "system:authenticated")),
    (at("rbac-authenticated"), binding("Group", "system:serviceaccounts")),
    (at("rbac-default-account"), binding("ServiceAccount", "default", namespace="a")),
    (at("rbac-default-account"), binding("Group", "system:serviceaccounts:a")),
    (at("rbac-default-account"), binding("User", "system:serviceaccount:a:default")),
    # versions
    (at("deprecated-api", Severity.HIGH, "apiVersion"), {"apiVersion": "extensions/v1beta1", "kind": "Ingress", "metadata": {"name": "a"}}),
    (at("deprecated-api", Severity.MEDIUM), {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "a"}}),
    (at("outdated-server"), {"kind": "Server", "apiVersion": "audit.podium.dev/v1", "metadata": {}, "status": {"gitVersion": "v1.33.9"}}),
    (at("deprecated-api"), {"kind": "Server", "apiVersion": "audit.podium.dev/v1", "status": {"requestedDeprecatedAPIs": [{"version": "v1", "resource": "componentstatuses"}]}}),
]  # fmt: skip
# ruff: noqa: E501


@pytest.mark.parametrize(
    ("expected", "obj"), BAD, ids=[f"{bad[0][0]}-{index}" for index, bad in enumerate(BAD)]
)
def test_an_object_that_breaks_a_rule(expected: tuple[str, Severity | None, str], obj: Object) -> None:
    rule, severity, path = expected
    (problem,) = problems(obj)
    assert problem.rule.id == rule
    assert problem.detail
    if severity is not None:
        assert (problem.severity or problem.rule.severity) is severity
    if path:
        assert shown(problem.path) == path


NOT_QUITE: list[Object] = [
    *(
        workload(kind=kind)
        for kind in ("Pod", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController")
    ),
    *(workload(container(livenessProbe=None, readinessProbe=None), kind=kind) for kind in ("Job", "CronJob")),
    workload(container(livenessProbe=None, readinessProbe=None), kind="Pod", restartPolicy="Never"),
    workload(initContainers=[container(livenessProbe=None, readinessProbe=None)]),
    secured(capabilities={"drop": ["all"], "add": ["NET_BIND_SERVICE"]}),
    secured(runAsNonRoot=None, runAsUser=1000),
    workload(container(securityContext=security(runAsNonRoot=None)), securityContext={"runAsNonRoot": True}),
    workload(container(securityContext=None), os={"name": "windows"}),
    workload(hostNetwork=False, volumes=[{"name": "a", "hostPath": None}]),
    workload(container(resources={"limits": {"cpu": 1, "memory": 1}})),
    workload(container(resources=None), resources={"limits": {"cpu": 1, "memory": 1}}),
    workload(container(image=f"app@sha256:{'0' * 64}")),
    variable("PASSWORD_FILE", "/run/secret"),
    variable("TOKEN_TTL", "1h"),
    variable("REQUIRE_TOKEN", "true"),
    variable("PASSWORD", ""),
    variable("PASSWORD", "$(FROM_ELSEWHERE)"),
    variable("COMPASS", "north"),
    variable("URL", "https://example.com/a@b"),
    variable("URL", "postgres://me:$(PASSWORD)@db/x"),
    workload(container(envFrom=[{"configMapRef": {"name": "a"}}])),
    running("sh", "-c", "a && b"),
    running("sh", "-c", "a >log 2>&1 &>more"),
    running("sh", "-c", "echo 'a & b' \"c & d\" # e & f"),
    running("nginx", "-g", "daemon off; a & b"),
    running("tini", "--", "app"),
    role("get", "list"),
    role("get", on="secrets", resourceNames=["a"]),
    role("get", "list", "watch", on="secrets", resourceNames=["a"]),
    role("create", on="secrets"),
    role("get", on="secrets", group="example.com"),
    role("bind", on="roles", group="rbac.authorization.k8s.io", resourceNames=["a"]),
    role("delete", on="pods/exec"),
    role("create", on="serviceaccounts/token", resourceNames=["a"]),
    role("get", nonResourceURLs=["/healthz/*"], apiGroups=[], resources=[]),
    own_binding("cluster-admin", "Group", "system:masters"),
    own_binding("system:discovery", "Group", "system:authenticated"),
    own_binding("system:public-info-viewer", "Group", "system:unauthenticated"),
    own_binding("system:kube-dns", "ServiceAccount", "kube-dns", namespace="kube-system"),
    {**workload(container(image="a")), "apiVersion": "apps.example.com/v1"},
    role("get", on="nodes/metrics"),
    binding("User", "alice"),
    binding("ServiceAccount", "robot", namespace="a"),
    {**binding("User", "alice", "cluster-admin"), "subjects": None},
    {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "a"}},
    {"apiVersion": "example.com/v1", "kind": "Role", "metadata": {"name": "a"}, "rules": [{"verbs": ["*"]}]},
    {"kind": "Server", "apiVersion": "audit.podium.dev/v1", "status": {"gitVersion": "v1.34.0"}},
    {"kind": "Server", "apiVersion": "audit.podium.dev/v1", "status": {}},
    {
        "kind": "Server",
        "apiVersion": "audit.podium.dev/v1",
        "status": {"requestedDeprecatedAPIs": [{"version": "v1", "resource": "endpoints"}]},
    },
]


@pytest.mark.parametrize("obj", NOT_QUITE, ids=lambda obj: obj["kind"])
def test_an_object_that_breaks_none(obj: Object) -> None:
    assert problems(obj) == []


def test_a_container_that_says_nothing_of_resources() -> None:
    """Limits are requests too, so that without requests there are no limits either."""
    for resources in (None, {}, {"limits": {"cpu": 1}, "requests": {"cpu": 1}}):
        bare = workload(container(resources=resources))
        assert broken(bare) == {"missing-requests", "missing-limits"}
        assert {shown(problem.path) for problem in problems(bare)} == {
            f"{FIRST}.resources.requests",
            f"{FIRST}.resources.limits",
        }


def test_a_namespace_needs_guards() -> None:
    bare = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    rules = {"namespace-pod-security", "namespace-quota", "namespace-limit-range", "namespace-network-policy"}
    assert broken(bare) == rules
    assert broken(bare, *GUARDS) == {"namespace-pod-security"}
    assert broken(namespace(**{"pod-security.kubernetes.io/enforce": "privileged"}), *GUARDS) == {
        "namespace-pod-security"
    }
    assert broken(namespace(), *GUARDS) == set()
    assert broken(bare, unseen=["NetworkPolicy", "ResourceQuota", "LimitRange"]) == {"namespace-pod-security"}
    # Every cluster has `default`; only where something runs in it does it need guards.
    default = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
    assert broken(default) == set()
    assert broken(default, workload()) == rules
    elsewhere = [{**one, "metadata": {**one["metadata"], "namespace": "b"}} for one in GUARDS]
    assert broken(namespace(), *elsewhere) == rules - {"namespace-pod-security"}


def test_a_limit_range_fills_in() -> None:
    def limits(**more: Any) -> Object:
        made = in_namespace("LimitRange", namespace="default")
        return {**made, "spec": {"limits": [{"type": "Pod"}, {"type": "Container", **more}]}}

    bare, all_of = workload(container(resources=None)), {"cpu": 1, "memory": 1}
    assert broken(bare, limits(default=all_of)) == set()
    assert broken(bare, limits(defaultRequest=all_of)) == {"missing-limits"}
    assert broken(bare, limits(max=all_of)) == {"missing-requests", "missing-limits"}


def test_a_service_account_may_refuse_its_token() -> None:
    account = {
        **in_namespace("ServiceAccount", name="web", namespace="default"),
        "automountServiceAccountToken": False,
    }
    mounting = workload(automountServiceAccountToken=None)
    assert broken(mounting, account) == set()
    assert broken(workload(automountServiceAccountToken=True), account) == {"automounted-token"}


REGISTRIES = [
    ("registry.example.com/app:1", ["registry.example.com"], True),
    ("registry.example.com/app:1", ["registry.example.com/"], True),
    ("registry.example.com/team/app:1", ["registry.example.com/team"], True),
    ("registry.example.com/team/app:1", ["registry.example.com/tea"], False),
    ("registry.example.com.evil.org/app:1", ["registry.example.com"], False),
    ("nginx:1", ["registry.example.com"], False),
    ("nginx:1", ["registry.example.com", "docker.io/library"], True),
    ("user/app:1", ["docker.io/library"], False),
]


@pytest.mark.parametrize(("image", "allowed", "good"), REGISTRIES)
def test_only_allowed_registries(image: str, allowed: list[str], good: bool) -> None:
    found = broken(workload(container(image=image)), registries=allowed)
    assert found == (set() if good else {"image-registry"})


REFERENCES = [
    ("nginx", Image(registry="docker.io", repository="library/nginx")),
    ("user/app:1", Image(registry="docker.io", repository="user/app", tag="1")),
    ("localhost/app", Image(registry="localhost", repository="app")),
    ("r:5000/a/b:1@sha256:0", Image(registry="r:5000", repository="a/b", tag="1", digest="sha256:0")),
]


@pytest.mark.parametrize(("text", "expected"), REFERENCES)
def test_references_of_images(text: str, expected: Image) -> None:
    assert parse(text) == expected


def test_every_rule_has_been_broken() -> None:
    told = {bad[0][0] for bad in BAD} | {"image-registry", "missing-requests"}
    told |= {"namespace-pod-security", "namespace-quota", "namespace-limit-range", "namespace-network-policy"}
    assert told == RULES.keys()


ODD: list[Any] = [None, 1, "x", [], [1], {}, {"a": None}, [[]], [{}], [None]]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_manifests_may_hold_anything(odd: Any) -> None:
    for obj in (
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": odd, "spec": odd},
        workload(odd),
        workload(containers=odd, volumes=odd, initContainers=odd, securityContext=odd),
        workload(
            *[container(**{key: odd}) for key in ("env", "envFrom", "command", "args", "image", "resources")]
        ),
        workload(container(securityContext=security(capabilities=odd)), container(securityContext=odd)),
        {**role(), "rules": odd},
        {**role(), "rules": [{"verbs": odd, "resources": odd, "apiGroups": odd}]},
        {**binding("User", "a"), "subjects": odd, "roleRef": odd},
        {"apiVersion": "v1", "kind": "Namespace", "metadata": odd},
        {"apiVersion": odd, "kind": odd},
        {"apiVersion": "audit.podium.dev/v1", "kind": "Server", "status": odd},
    ):
        problems(obj)
