"""Which schema and which flow a request belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from podium.apiserver.bootstrap import flowcontrol as bootstrap
from podium.apiserver.chain import RequestInfo, User
from podium.apiserver.flowcontrol.limiter import is_long_running, is_mutating
from podium.apiserver.flowcontrol.matching import compile_schema, in_order, match
from tests.apiserver.fakes import asks, asks_path, user

EVERYBODY = [{"kind": "Group", "group": {"name": "*"}}]
ALICE = user("alice", "dev", "system:authenticated")
KUBELET = user("system:node:n1", "system:nodes", "system:authenticated")
ROOT = user("root", "system:masters", "system:authenticated")
NOBODY = user("system:anonymous", "system:unauthenticated")
MANAGER = user("system:kube-controller-manager", "system:authenticated")
LEASES = "leases"
COORDINATION = "coordination.k8s.io"


def account(namespace: str, name: str) -> User:
    return user(f"system:serviceaccount:{namespace}:{name}", "system:serviceaccounts", "system:authenticated")


@pytest.mark.parametrize(
    ("who", "info", "schema"),
    [
        (ROOT, asks("list", "pods"), "exempt"),
        (NOBODY, asks_path("/healthz"), "probes"),
        (NOBODY, asks_path("/livez/etcd"), "probes"),
        (NOBODY, asks_path("/livezz"), "global-default"),
        (ALICE, asks_path("/readyz", "post"), "global-default"),
        (ALICE, asks("get", "pods", namespace="a"), "global-default"),
        (NOBODY, asks("get", "pods", namespace="a"), "global-default"),
        (KUBELET, asks("update", "nodes/status", name="n1"), "system-node-high"),
        (KUBELET, asks("patch", "nodes", name="n1"), "system-node-high"),
        (
            KUBELET,
            asks("update", LEASES, group=COORDINATION, namespace="kube-node-lease"),
            "system-node-high",
        ),
        (KUBELET, asks("get", "nodes/proxy", name="n1"), "system-nodes"),
        (KUBELET, asks("list", "pods"), "system-nodes"),
        (MANAGER, asks("update", LEASES, group=COORDINATION, namespace="x"), "system-leader-election"),
        (MANAGER, asks("list", LEASES, group=COORDINATION, namespace="x"), "kube-controller-manager"),
        (user("system:kube-scheduler"), asks("list", "pods"), "kube-scheduler"),
        (account("kube-system", "x"), asks("list", "pods"), "kube-system-service-accounts"),
        (account("kube-systems", "x"), asks("list", "pods"), "service-accounts"),
        (account("default", "x"), asks("create", "pods", namespace="default"), "service-accounts"),
        (user("stray"), asks("list", "pods"), "catch-all"),
    ],
    ids=lambda value: getattr(value, "name", None) or getattr(value, "path", None),
)
def test_the_schemas_of_every_cluster(who: User, info: RequestInfo, schema: str) -> None:
    schemas = in_order(map(compile_schema, bootstrap.flow_schemas()))
    assert match(schemas, who, info).name == schema


def schema_of(subjects: list[Any], *, resources: Any = (), paths: Any = (), **more: Any) -> Any:
    rule = {"subjects": subjects, "resourceRules": list(resources), "nonResourceRules": list(paths)}
    spec = {"priorityLevelConfiguration": {"name": "l"}, "matchingPrecedence": 5, "rules": [rule], **more}
    return {"metadata": {"name": "s", "uid": "u"}, "spec": spec}


def rule(
    verbs: str = "*", groups: str = "*", resources: str = "*", namespaces: str = "*", *, cluster: bool = True
) -> Any:
    return {
        "verbs": verbs.split(),
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
        "namespaces": namespaces.split(),
        "clusterScope": cluster,
    }


@pytest.mark.parametrize(
    ("said", "info", "matches"),
    [
        (rule(), asks("get", "pods", namespace="a"), True),
        (rule("get list"), asks("list", "pods"), True),
        (rule("get list"), asks("watch", "pods"), False),
        (rule(groups="core"), asks("get", "pods"), True),
        (rule(groups="core"), asks("get", "deployments", group="apps"), False),
        (rule(resources="pods"), asks("get", "pods/log", namespace="a"), False),
        (rule(resources="pods/log"), asks("get", "pods/log", namespace="a"), True),
        (rule(resources="*"), asks("get", "pods/log", namespace="a"), True),
        (rule(namespaces="a b"), asks("get", "pods", namespace="b"), True),
        (rule(namespaces="a b"), asks("get", "pods", namespace="c"), False),
        (rule(cluster=False), asks("list", "pods"), False),
        (rule(cluster=False), asks("list", "pods", namespace="a"), True),
        (rule(namespaces="", cluster=True), asks("list", "pods", namespace="a"), False),
        (rule(), asks_path("/metrics"), False),
    ],
)
def test_resource_rules(said: Any, info: RequestInfo, matches: bool) -> None:
    schema = compile_schema(schema_of(EVERYBODY, resources=[said]))
    assert schema.matches(ALICE, info) is matches


@pytest.mark.parametrize(
    ("urls", "path", "matches"),
    [
        (["*"], "/anything", True),
        (["/x"], "/x", True),
        (["/x"], "/x/y", True),
        (["/x"], "/xy", False),
        (["/x/*"], "/x/y/z", True),
        (["/x/*"], "/x", False),
        (["/"], "/x", True),
        (["/a", "/b"], "/b", True),
    ],
)
def test_paths(urls: list[str], path: str, matches: bool) -> None:
    schema = compile_schema(schema_of(EVERYBODY, paths=[{"verbs": ["get"], "nonResourceURLs": urls}]))
    assert schema.matches(ALICE, asks_path(path)) is matches
    assert not schema.matches(ALICE, asks_path(path, "post"))


@pytest.mark.parametrize(
    ("subject", "who", "matches"),
    [
        ({"kind": "User", "user": {"name": "alice"}}, ALICE, True),
        ({"kind": "User", "user": {"name": "*"}}, NOBODY, True),
        ({"kind": "User", "user": {"name": "bob"}}, ALICE, False),
        ({"kind": "Group", "group": {"name": "dev"}}, ALICE, True),
        ({"kind": "Group", "group": {"name": "ops"}}, ALICE, False),
        (
            {"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "b"}},
            account("a", "b"),
            True,
        ),
        (
            {"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}},
            account("a", "c"),
            True,
        ),
        (
            {"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "b"}},
            account("a", "c"),
            False,
        ),
        (
            {"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}},
            account("b", "c"),
            False,
        ),
        ({"kind": "ServiceAccount"}, ALICE, False),
        ({"kind": "Robot"}, ALICE, False),
    ],
)
def test_subjects(subject: Any, who: User, matches: bool) -> None:
    schema = compile_schema(schema_of([subject], resources=[rule()]))
    assert schema.matches(who, asks("get", "pods")) is matches


def test_precedence_then_name_with_the_mandatory_ones_in_place() -> None:
    def named(name: str, precedence: int) -> Any:
        obj = schema_of(EVERYBODY, resources=[rule()], matchingPrecedence=precedence)
        obj["metadata"]["name"] = name
        return compile_schema(obj)

    names = [schema.name for schema in in_order([named("b", 7), named("z", 3), named("a", 7)])]
    assert names == ["exempt", "z", "a", "b", "catch-all"]


@pytest.mark.parametrize(
    ("method", "flow"), [({"type": "ByUser"}, "alice"), ({"type": "ByNamespace"}, "ns"), (None, "")]
)
def test_flows(method: Any, flow: str) -> None:
    schema = compile_schema(schema_of(EVERYBODY, resources=[rule()], distinguisherMethod=method))
    assert schema.flow_of(ALICE, asks("get", "pods", namespace="ns")) == flow


@pytest.mark.parametrize(
    ("info", "long", "mutating"),
    [
        (asks("get", "pods"), False, False),
        (asks("watch", "pods"), True, False),
        (asks("get", "pods/log"), True, False),
        (asks("create", "pods/exec"), True, True),
        (asks("create", "pods/attach"), True, True),
        (asks("create", "pods/portforward"), True, True),
        (asks("get", "services/proxy"), True, False),
        (asks("proxy", "services"), True, True),
        (asks("create", "pods/eviction"), False, True),
        (asks("deletecollection", "pods"), False, True),
        (asks_path("/debug/pprof/heap"), True, False),
        (asks_path("/version"), False, False),
        (asks_path("/version", "post"), False, True),
    ],
)
def test_what_may_last_and_what_changes_something(info: RequestInfo, long: bool, mutating: bool) -> None:
    assert (is_long_running(info), is_mutating(info)) == (long, mutating)
