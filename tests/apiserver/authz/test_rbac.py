"""RBAC decisions one by one, and the index against a reader of all rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.apiserver.authz.rbac import RbacAuthorizer
from podium.apiserver.authz.rules import Rules, described, uncovered
from podium.apiserver.bootstrap.rules import paths
from podium.apiserver.chain import Decision, RequestInfo, User
from podium.machinery.errors import Object
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES
from tests.apiserver.authz.helpers import binding, role, rule
from tests.apiserver.fakes import FakeReader, asks, asks_path, user


@pytest.mark.parametrize(
    ("held", "info", "allowed"),
    [
        (rule("get", "core", "pods"), asks("get", "pods", namespace="a", name="x"), True),
        (rule("get", "core", "pods"), asks("list", "pods"), False),
        (rule("get", "core", "pods"), asks("get", "pods", group="apps"), False),
        (rule("get", "core", "pods"), asks("get", "pods/log", name="x"), False),
        (rule("get", "core", "pods/log"), asks("get", "pods/log", name="x"), True),
        (rule("get", "core", "pods/log"), asks("get", "pods", name="x"), False),
        (rule("*", "core", "pods"), asks("anything", "pods"), True),
        (rule("get", "*", "pods"), asks("get", "pods", group="metrics.k8s.io"), True),
        (rule("get", "core", "*"), asks("get", "secrets/x", name="n"), True),
        (rule("get", "core", "*/scale"), asks("get", "replicationcontrollers/scale"), True),
        (rule("get", "*", "*/scale"), asks("get", "deployments/scale", group="apps"), True),
        (rule("get", "core", "*/scale"), asks("get", "replicationcontrollers"), False),
        (rule("get", "core", "pods/*"), asks("get", "pods/log"), False),
        (rule("get", "core", "secrets", "mine"), asks("get", "secrets", name="mine"), True),
        (rule("get", "core", "secrets", "mine"), asks("get", "secrets", name="other"), False),
        (rule("get list", "core", "secrets", "mine"), asks("list", "secrets"), False),
        (rule("create", "core", "secrets", "mine"), asks("create", "secrets"), False),
        (rule("*", "*", "*"), asks_path("/metrics"), False),
        (paths("get", "/healthz"), asks_path("/healthz"), True),
        (paths("get", "/healthz"), asks_path("/healthz/etcd"), False),
        (paths("get", "/healthz/*"), asks_path("/healthz/etcd"), True),
        (paths("get", "/healthz/*"), asks_path("/healthz"), False),
        (paths("get", "*"), asks_path("/anything"), True),
        (paths("get", "/api*"), asks_path("/apis"), True),
        (paths("get", "/healthz"), asks_path("/healthz", "post"), False),
        (paths("*", "/healthz"), asks_path("/healthz", "post"), True),
        (paths("*", "*"), asks("get", "pods"), False),
    ],
    ids=str,
)
def test_one_rule(held: Object, info: RequestInfo, allowed: bool) -> None:
    assert Rules.compile([held]).allow(info) is allowed
    assert naive_rule(held, info) is allowed


def reader() -> FakeReader:
    made = FakeReader()
    made.put(CLUSTERROLES, role("reader", rule("get list", "core", "pods")))
    made.put(ROLES, role("editor", rule("update", "core", "pods"), namespace="a"))
    made.put(CLUSTERROLEBINDINGS, binding("everywhere", "ClusterRole/reader", "Group:dev"))
    made.put(ROLEBINDINGS, binding("here", "Role/editor", "User:alice", namespace="a"))
    made.put(ROLEBINDINGS, binding("read-a", "ClusterRole/reader", "ServiceAccount:b/robot", namespace="a"))
    made.put(ROLEBINDINGS, binding("broken", "Role/nosuch", "User:carol", namespace="a"))
    made.put(CLUSTERROLEBINDINGS, binding("broken", "ClusterRole/nosuch", "User:carol"))
    return made


ROBOT = user("system:serviceaccount:b:robot")


@pytest.mark.parametrize(
    ("who", "info", "decision"),
    [
        (
            user("bob", "dev"),
            asks("list", "pods"),
            Decision(
                allowed=True,
                reason='RBAC: allowed by ClusterRoleBinding "everywhere" of ClusterRole "reader" '
                'to Group "dev"',
            ),
        ),
        (user("bob"), asks("list", "pods"), Decision(allowed=False)),
        (user("dev"), asks("list", "pods"), Decision(allowed=False)),
        (
            user("alice"),
            asks("update", "pods", namespace="a", name="x"),
            Decision(
                allowed=True,
                reason='RBAC: allowed by RoleBinding "here/a" of Role "editor" to User "alice"',
            ),
        ),
        (user("alice"), asks("update", "pods", namespace="b", name="x"), Decision(allowed=False)),
        (user("alice"), asks("update", "pods"), Decision(allowed=False)),
        (
            ROBOT,
            asks("get", "pods", namespace="a", name="x"),
            Decision(
                allowed=True,
                reason='RBAC: allowed by RoleBinding "read-a/a" of ClusterRole "reader" to '
                'ServiceAccount "robot/b"',
            ),
        ),
        (ROBOT, asks("get", "pods", namespace="b", name="x"), Decision(allowed=False)),
        (ROBOT, asks("list", "pods"), Decision(allowed=False)),
        (
            user("carol"),
            asks("get", "pods"),
            Decision(allowed=False, reason='RBAC: clusterrole.rbac.authorization.k8s.io "nosuch" not found'),
        ),
        (
            user("carol"),
            asks("get", "pods", namespace="a"),
            Decision(
                allowed=False,
                reason='RBAC: [clusterrole.rbac.authorization.k8s.io "nosuch" not found, '
                'role.rbac.authorization.k8s.io "nosuch" not found]',
            ),
        ),
    ],
    ids=str,
)
def test_decisions(who: User, info: RequestInfo, decision: Decision) -> None:
    assert RbacAuthorizer(reader()).decide(who, info) == decision


def test_follows_changes() -> None:
    made = FakeReader()
    rbac = RbacAuthorizer(made)
    alice, info = user("alice"), asks("get", "pods", namespace="a", name="x")

    def allowed() -> bool:
        return rbac.decide(alice, info).allowed

    made.put(ROLEBINDINGS, binding("b", "Role/r", "User:alice", namespace="a"))
    assert not allowed()
    made.put(ROLES, role("r", rule("get", "core", "pods"), namespace="a"))
    assert allowed()
    made.put(ROLES, role("r", rule("list", "core", "pods"), namespace="a"))
    assert not allowed()
    made.put(ROLES, role("r", rule("get", "core", "pods"), namespace="a"))
    made.put(ROLEBINDINGS, binding("b", "Role/r", "User:bob", namespace="a"))
    assert not allowed()
    made.put(ROLEBINDINGS, binding("b", "Role/r", "User:bob", "User:alice", namespace="a"))
    assert allowed()
    made.cached(ROLES).remove("a", "r")
    assert not allowed()
    made.put(ROLES, role("r", rule("get", "core", "pods"), namespace="a"))
    made.cached(ROLEBINDINGS).remove("a", "b")
    assert not allowed()
    assert list(rbac._scopes) == [""], "an empty namespace leaves nothing behind"


def test_aggregated_roles_follow_what_they_select() -> None:
    made = FakeReader()
    rbac = RbacAuthorizer(made)
    for name, label in (("view", "to-view"), ("edit", "to-edit")):
        aggregated = role(name, aggregationRule={"clusterRoleSelectors": [{"matchLabels": {label: "yes"}}]})
        aggregated["metadata"]["labels"] = {"to-edit": "yes"} if name == "view" else {}
        made.put(CLUSTERROLES, aggregated)
    made.put(CLUSTERROLEBINDINGS, binding("v", "ClusterRole/view", "User:viewer"))
    made.put(CLUSTERROLEBINDINGS, binding("e", "ClusterRole/edit", "User:editor"))

    def may(name: str) -> bool:
        return rbac.decide(user(name), asks("get", "things", group="example.com")).allowed

    assert not may("viewer")
    part = role("part", rule("get", "example.com", "things"))
    part["metadata"]["labels"] = {"to-view": "yes"}
    made.put(CLUSTERROLES, part)
    assert may("viewer")
    assert may("editor"), "an aggregate that is selected itself brings along what it selects"
    made.put(CLUSTERROLES, role("part", rule("get", "example.com", "things")))
    assert not may("viewer")
    made.put(CLUSTERROLES, part)
    made.cached(CLUSTERROLES).remove("", "part")
    assert not may("editor")


# --- against a reader of everything

NAMES = st.sampled_from(["a", "b"])
NAMESPACES = st.sampled_from(["x", "y"])
VERBS = st.lists(st.sampled_from(["get", "list", "*"]), min_size=1, max_size=2)
GROUPS = st.lists(st.sampled_from(["", "apps", "*"]), min_size=1, max_size=2)
RESOURCES = st.lists(st.sampled_from(["pods", "pods/log", "*", "*/log", "pods/*"]), min_size=1, max_size=2)
RULES = st.one_of(
    st.builds(
        lambda v, g, r, n: {"verbs": v, "apiGroups": g, "resources": r, "resourceNames": n},
        VERBS,
        GROUPS,
        RESOURCES,
        st.lists(NAMES, max_size=2),
    ),
    st.builds(
        lambda v, u: {"verbs": v, "nonResourceURLs": u},
        VERBS,
        st.lists(st.sampled_from(["/a", "/a/*", "*", "/b"]), min_size=1, max_size=2),
    ),
)
SUBJECTS = st.sampled_from(["User:alice", "User:bob", "Group:dev", "ServiceAccount:x/robot"])
REFERENCES = st.sampled_from(["Role/a", "Role/b", "ClusterRole/a", "ClusterRole/b"])
CHANGES = st.one_of(
    st.tuples(st.just("role"), NAMESPACES, NAMES, st.lists(RULES, max_size=2)),
    st.tuples(st.just("cluster role"), st.just(""), NAMES, st.lists(RULES, max_size=2)),
    st.tuples(st.just("binding"), NAMESPACES, NAMES, st.tuples(REFERENCES, st.lists(SUBJECTS, max_size=2))),
    st.tuples(
        st.just("cluster binding"), st.just(""), NAMES, st.tuples(REFERENCES, st.lists(SUBJECTS, max_size=2))
    ),
    st.tuples(st.sampled_from(["no role", "no binding"]), NAMESPACES, NAMES, st.none()),
    st.tuples(st.sampled_from(["no cluster role", "no cluster binding"]), st.just(""), NAMES, st.none()),
)
QUESTIONS = st.one_of(
    st.builds(
        lambda v, g, r, ns, n: asks(v, r, group=g, namespace=ns, name=n),
        st.sampled_from(["get", "list", "watch"]),
        st.sampled_from(["", "apps", "other"]),
        st.sampled_from(["pods", "pods/log", "nodes/log", "nodes"]),
        st.sampled_from(["", "x", "y"]),
        st.sampled_from(["", "a", "b", "c"]),
    ),
    st.builds(asks_path, st.sampled_from(["/a", "/a/", "/a/b", "/b", "/c"])),
)
USERS = st.sampled_from(
    [user("alice"), user("bob", "dev"), user("system:serviceaccount:x:robot", "dev"), user("eve")]
)
_KINDS = {
    "role": ROLES,
    "cluster role": CLUSTERROLES,
    "binding": ROLEBINDINGS,
    "cluster binding": CLUSTERROLEBINDINGS,
}


@settings(deadline=None, max_examples=150)
@given(st.lists(CHANGES, max_size=12), st.lists(st.tuples(USERS, QUESTIONS), min_size=1, max_size=8))
def test_index_equals_reading_everything(
    changes: list[tuple[str, str, str, object]], questions: list[tuple[User, RequestInfo]]
) -> None:
    made = FakeReader()
    rbac = RbacAuthorizer(made)
    for change in changes:
        apply(made, *change)
        for who, info in questions:
            assert rbac.decide(who, info).allowed is naive(made, who, info)


def apply(made: FakeReader, what: str, namespace: str, name: str, content: object) -> None:
    resource = _KINDS[what.removeprefix("no ")]
    if what.startswith("no "):
        if made.cached(resource).get(namespace, name) is not None:
            made.cached(resource).remove(namespace, name)
    elif "role" in what:
        made.put(resource, role(name, *cast(list[Object], content), namespace=namespace))
    else:
        reference, subjects = cast(tuple[str, list[str]], content)
        made.put(resource, binding(name, reference, *subjects, namespace=namespace))


def naive(made: FakeReader, who: User, info: RequestInfo) -> bool:
    bindings = [*made.cached(CLUSTERROLEBINDINGS).list()]
    if info.is_resource and info.namespace:
        bindings += made.cached(ROLEBINDINGS).list(info.namespace)
    return any(naive_rule(r, info) for b in bindings if names(b, who) for r in rules_of(made, b))


def names(bound: Object, who: User) -> bool:
    for s in bound["subjects"]:
        if s["kind"] == "User" and s["name"] == who.name:
            return True
        if s["kind"] == "Group" and s["name"] in who.groups:
            return True
        if s["kind"] == "ServiceAccount" and who.name.endswith(f":{s['namespace']}:{s['name']}"):
            return True
    return False


def rules_of(made: FakeReader, bound: Object) -> Iterator[Object]:
    reference = bound["roleRef"]
    if reference["kind"] == "ClusterRole":
        found = made.cached(CLUSTERROLES).get(None, reference["name"])
    else:
        namespace = bound["metadata"].get("namespace")
        found = made.cached(ROLES).get(namespace, reference["name"]) if namespace else None
    yield from (found or {}).get("rules", [])


def naive_rule(held: Object, info: RequestInfo) -> bool:
    if not {"*", info.verb} & set(held["verbs"]):
        return False
    if not info.is_resource:
        urls = held.get("nonResourceURLs", [])
        return any(u == info.path or (u.endswith("*") and info.path.startswith(u.rstrip("*"))) for u in urls)
    if not {"*", info.api_group} & set(held.get("apiGroups", [])):
        return False
    wanted = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    matching = {"*", wanted} | ({f"*/{info.subresource}"} if info.subresource else set())
    if not matching & set(held.get("resources", [])):
        return False
    return not held.get("resourceNames") or info.name in held["resourceNames"]


# --- covering


@pytest.mark.parametrize(
    ("held", "wanted", "missing"),
    [
        ([rule("get list", "core", "pods")], [rule("get", "core", "pods")], []),
        (
            [rule("get", "core", "pods")],
            [rule("get list", "core", "pods secrets")],
            [
                '{APIGroups:[""], Resources:["pods"], Verbs:["list"]}',
                '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}',
            ],
        ),
        ([rule("*", "*", "*")], [rule("get", "apps", "deployments/scale", "x")], []),
        (
            [rule("*", "*", "*")],
            [paths("get", "/metrics")],
            ['{NonResourceURLs:["/metrics"], Verbs:["get"]}'],
        ),
        ([paths("*", "*")], [paths("get", "/metrics /x/*")], []),
        ([rule("get", "core", "*/log")], [rule("get", "core", "pods/log")], []),
        (
            [rule("get", "core", "secrets", "a")],
            [rule("get", "core", "secrets", "a b")],
            ['{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}'],
        ),
        (
            [rule("get", "core", "secrets", "a")],
            [rule("get", "core", "secrets")],
            ['{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}'],
        ),
        ([], [rule("*", "core", "pods")], ['{APIGroups:[""], Resources:["pods"], Verbs:["*"]}']),
    ],
    ids=str,
)
def test_uncovered(held: list[Object], wanted: list[Object], missing: list[str]) -> None:
    assert described(uncovered(held, wanted)) == missing
