"""The modes together, impersonation, the questions about access, and granting what one does not hold."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.apiserver import authz
from podium.apiserver.authn.impersonation import HeaderImpersonator, Wanted, modes, take_wanted
from podium.apiserver.authz.messages import forbidden
from podium.apiserver.bootstrap import node_rules
from podium.apiserver.chain import Attributes, Question, RequestInfo, User
from podium.base.http.message import Headers, Request
from podium.machinery.errors import ApiError, BadRequest, Forbidden, Invalid, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.authorization.localsubjectaccessreviews import LOCALSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectaccessreviews import SELFSUBJECTACCESSREVIEWS
from podium.resources.authorization.selfsubjectrulesreviews import SELFSUBJECTRULESREVIEWS
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES
from tests.apiserver.authz.helpers import binding, role, rule
from tests.apiserver.fakes import FakeReader, asks, asks_path, user

MASTER = user("root", "system:masters")
NODE = user("system:node:n1", "system:nodes")


def granting(**rules: Object) -> FakeReader:
    """Return a cluster where each user named by a keyword holds that rule everywhere."""
    reader = FakeReader()
    for name, held in rules.items():
        reader.put(CLUSTERROLES, role(name, held))
        reader.put(CLUSTERROLEBINDINGS, binding(name, f"ClusterRole/{name}", f"User:{name}"))
    return reader


def decide(reader: FakeReader, who: User, info: RequestInfo, *modes: str) -> tuple[bool, str]:
    built = authz.build(reader, modes=modes or ("Node", "RBAC"), node_rules=node_rules())
    decision = asyncio.run(built.authorizer.authorize(who, info))
    return decision.allowed, decision.reason


# --- modes


def test_modes_in_order() -> None:
    reader = granting(alice=rule("get", "core", "pods"))
    pods = asks("get", "pods")
    assert decide(reader, user("alice"), pods)[0]
    assert decide(reader, user("bob"), pods) == (False, "")
    assert decide(reader, user("alice"), pods, "Node") == (False, "")
    assert decide(reader, user("bob"), pods, "AlwaysDeny") == (False, "Everything is forbidden.")
    assert decide(reader, user("bob"), pods, "RBAC", "AlwaysAllow") == (True, "")
    assert decide(reader, MASTER, pods, "AlwaysDeny") == (True, ""), "masters are never asked"


def test_every_reason_is_told() -> None:
    reader = FakeReader()
    reader.put(CLUSTERROLEBINDINGS, binding("b", "ClusterRole/x", f"User:{NODE.name}"))
    allowed, reason = decide(reader, NODE, asks("get", "nodes", name="n2"))
    assert not allowed
    assert reason == (
        "node 'n1' cannot read 'n2', only its own Node object\n"
        'RBAC: clusterrole.rbac.authorization.k8s.io "x" not found'
    )


def test_what_a_node_may_not_by_itself_rbac_may_still_allow() -> None:
    reader = FakeReader()
    reader.put(CLUSTERROLES, role("x", rule("get", "core", "nodes")))
    reader.put(CLUSTERROLEBINDINGS, binding("b", "ClusterRole/x", "Group:system:nodes"))
    assert decide(reader, NODE, asks("get", "nodes", name="n2"))[0]


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match="unknown authorization mode 'ABAC'"):
        authz.build(FakeReader(), modes=("ABAC",))


@pytest.mark.parametrize(
    ("info", "message", "details"),
    [
        (
            asks("list", "pods", namespace="a"),
            'pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "a"',
            {"kind": "pods"},
        ),
        (
            asks("get", "deployments/scale", group="apps", namespace="a", name="d"),
            'deployments.apps "d" is forbidden: User "bob" cannot get resource "deployments/scale" '
            'in API group "apps" in the namespace "a"',
            {"name": "d", "group": "apps", "kind": "deployments"},
        ),
        (
            asks("list", "nodes"),
            'nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" '
            "at the cluster scope",
            {"kind": "nodes"},
        ),
        (asks_path("/metrics"), 'forbidden: User "bob" cannot get path "/metrics"', {}),
    ],
    ids=str,
)
def test_messages(info: RequestInfo, message: str, details: Object) -> None:
    error = forbidden(user("bob"), info)
    assert (error.message, error.details) == (message, details)
    assert forbidden(user("bob"), info, "why").message == f"{message}: why"


# --- impersonation


def sent(**headers: str | tuple[str, ...]) -> Request:
    pairs: list[tuple[str, str]] = []
    for name, value in headers.items():
        values = value if isinstance(value, tuple) else (value,)
        pairs += [(f"Impersonate-{name.replace('_', '-')}", v) for v in values]
    return Request(method="GET", target="/", headers=Headers(pairs))


def impersonate(reader: FakeReader, who: User, request: Request, info: RequestInfo | None = None) -> User:
    authorizer = authz.build(reader).authorizer
    info = info or asks("list", "pods", namespace="a")
    return asyncio.run(HeaderImpersonator(authorizer).impersonate(who, request, info))


def test_nobody_else_is_asked_for() -> None:
    assert impersonate(FakeReader(), user("a"), sent()) == user("a")


def test_masters_become_anybody() -> None:
    request = sent(User="bob", Group=("dev", "ops"), Uid="7", Extra_scopes="all", Extra_acme_com_2fdept="x")
    request.headers.add("Impersonate-Extra-acme.com%2fdept", "hr")
    became = impersonate(FakeReader(), MASTER, request)
    assert became.name == "bob"
    assert became.uid == "7"
    assert became.groups == ("dev", "ops", "system:authenticated")
    assert became.extra["scopes"] == ("all",)
    assert became.extra["acme.com/dept"] == ("hr",)
    assert not [name for name, _ in request.headers if name.startswith("impersonate")]


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("bob", ("system:authenticated",)),
        ("system:anonymous", ("system:unauthenticated",)),
        (
            "system:serviceaccount:ns:robot",
            ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"),
        ),
        ("system:node:n1", ("system:nodes", "system:authenticated")),
    ],
)
def test_groups_that_come_with_a_name(name: str, groups: tuple[str, ...]) -> None:
    assert impersonate(FakeReader(), MASTER, sent(User=name)).groups == groups


def test_headers_without_a_user() -> None:
    with pytest.raises(BadRequest):
        take_wanted(sent(Group="dev").headers)


@pytest.mark.parametrize(
    ("wanted", "who", "expected"),
    [
        (Wanted(name="bob"), user("a"), ["user-info", "impersonate"]),
        (Wanted(name="bob", groups=("x",)), user("a"), ["user-info", "impersonate"]),
        (Wanted(name="system:serviceaccount:n:r"), user("a"), ["serviceaccount", "impersonate"]),
        (Wanted(name="system:serviceaccount:n:r", groups=("x",)), user("a"), ["impersonate"]),
        (Wanted(name="system:node:n1"), user("a"), ["arbitrary-node", "impersonate"]),
        (
            Wanted(name="system:node:n1"),
            User(
                name="system:serviceaccount:n:agent",
                extra={"authentication.kubernetes.io/node-name": ("n1",)},
            ),
            ["associated-node", "arbitrary-node", "impersonate"],
        ),
    ],
    ids=str,
)
def test_fitting_modes(wanted: Wanted, who: User, expected: list[str]) -> None:
    assert modes(wanted, who) == expected


def refusal(reader: FakeReader, request: Request, info: RequestInfo | None = None) -> str:
    with pytest.raises(Forbidden) as error:
        impersonate(reader, user("alice"), request, info)
    return error.value.message


def test_plain_impersonation_needs_every_part() -> None:
    bob = rule("impersonate", "core", "users", "bob")
    first = (
        'pods is forbidden: User "alice" cannot impersonate-on:user-info:list resource "pods" in API group '
        '"" in the namespace "a"'
    )
    assert refusal(FakeReader(), sent(User="bob")) == first
    assert impersonate(granting(alice=bob), user("alice"), sent(User="bob")).name == "bob"
    assert refusal(granting(alice=bob), sent(User="eve")) == first
    assert refusal(granting(alice=bob), sent(User="bob", Group="system:masters")) == first
    assert refusal(granting(alice=bob), sent(User="bob", Uid="1")) == first
    assert refusal(granting(alice=bob), sent(User="bob", Extra_scopes="x")) == first


def test_a_service_account_is_asked_for_as_one() -> None:
    reader = FakeReader()
    reader.put(ROLES, role("r", rule("impersonate", "core", "serviceaccounts", "robot"), namespace="ns"))
    reader.put(ROLEBINDINGS, binding("r", "Role/r", "User:alice", namespace="ns"))
    assert impersonate(reader, user("alice"), sent(User="system:serviceaccount:ns:robot"))
    assert "impersonate-on:serviceaccount:list" in refusal(
        reader, sent(User="system:serviceaccount:other:robot")
    )


def test_constrained_impersonation_needs_both_halves() -> None:
    who = rule("impersonate:user-info", "authentication.k8s.io", "users groups", "bob dev system:masters")
    what = rule("impersonate-on:user-info:list", "core", "pods")
    reader = FakeReader()
    reader.put(CLUSTERROLES, role("both", who, what))
    reader.put(CLUSTERROLEBINDINGS, binding("both", "ClusterRole/both", "User:alice"))
    assert impersonate(reader, user("alice"), sent(User="bob", Group="dev")).name == "bob"
    assert "impersonate-on:user-info:get" in refusal(reader, sent(User="bob"), asks("get", "pods"))
    assert 'cannot impersonate:user-info resource "users"' in refusal(reader, sent(User="eve"))
    masters = refusal(reader, sent(User="bob", Group="system:masters"))
    assert masters.endswith("impersonating the system:masters group is not allowed")
    assert "impersonate-on:user-info:list" in refusal(granting(alice=who), sent(User="bob"))


# --- questions


def ask(resource: Resource, spec: Object, who: User, reader: FakeReader, namespace: str = "") -> Object:
    obj: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}, "spec": spec}
    question = Question(resource=resource, namespace=namespace, object=obj, user=who)
    answers = authz.build(reader, node_rules=node_rules()).answers
    answer: Object = asyncio.run(answers[resource.group_plural](question))  # type: ignore[arg-type]
    return answer


PODS = {"verb": "get", "resource": "pods", "namespace": "a"}


def test_subject_access_review() -> None:
    reader = granting(alice=rule("get", "core", "pods"))
    status = ask(SUBJECTACCESSREVIEWS, {"user": "alice", "resourceAttributes": PODS}, MASTER, reader)[
        "status"
    ]
    assert status == {
        "allowed": True,
        "reason": 'RBAC: allowed by ClusterRoleBinding "alice" of ClusterRole "alice" to User "alice"',
    }
    status = ask(SUBJECTACCESSREVIEWS, {"user": "bob", "resourceAttributes": PODS}, MASTER, reader)["status"]
    assert status == {"allowed": False}


def test_self_and_local_reviews() -> None:
    reader = granting(alice=rule("get", "core", "pods"))
    mine = ask(SELFSUBJECTACCESSREVIEWS, {"resourceAttributes": PODS}, user("alice"), reader)
    assert mine["status"]["allowed"] is True
    spec = {"user": "bob", "resourceAttributes": PODS}
    assert ask(LOCALSUBJECTACCESSREVIEWS, spec, MASTER, reader, "a")["status"] == {"allowed": False}


BOTH = "cannot be specified in combination with resourceAttributes"
NEITHER = "exactly one of nonResourceAttributes or resourceAttributes must be specified"


@pytest.mark.parametrize(
    ("resource", "spec", "field", "detail"),
    [
        (SUBJECTACCESSREVIEWS, {"user": "x"}, "spec.resourceAttributes", NEITHER),
        (SELFSUBJECTACCESSREVIEWS, {}, "spec.resourceAttributes", NEITHER),
        (
            SUBJECTACCESSREVIEWS,
            {"user": "x", "resourceAttributes": PODS, "nonResourceAttributes": {"path": "/"}},
            "spec.nonResourceAttributes",
            BOTH,
        ),
        (
            SUBJECTACCESSREVIEWS,
            {"user": "", "resourceAttributes": PODS},
            "spec.user",
            "at least one of user or group must be specified",
        ),
        (
            LOCALSUBJECTACCESSREVIEWS,
            {"user": "x", "resourceAttributes": {**PODS, "namespace": "b"}},
            "spec.resourceAttributes.namespace",
            "must match metadata.namespace",
        ),
        (
            LOCALSUBJECTACCESSREVIEWS,
            {"user": "x", "nonResourceAttributes": {"path": "/"}},
            "spec.nonResourceAttributes",
            "disallowed on this kind of request",
        ),
    ],
    ids=str,
)
def test_senseless_questions(resource: Resource, spec: Object, field: str, detail: str) -> None:
    with pytest.raises(Invalid) as error:
        ask(resource, spec, MASTER, FakeReader(), "a")
    details: Any = error.value.details
    assert [(c["field"], c["message"].endswith(detail)) for c in details["causes"]] == [(field, True)]


def test_rules_review() -> None:
    reader = granting(alice=rule("get", "core", "pods"))
    reader.put(ROLES, role("r", rule("list", "apps", "deployments", "web"), namespace="a"))
    reader.put(ROLEBINDINGS, binding("r", "Role/r", "User:alice", namespace="a"))
    answer = ask(SELFSUBJECTRULESREVIEWS, {"namespace": "a"}, user("alice"), reader)
    assert answer["status"] == {
        "resourceRules": [
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
            {
                "verbs": ["list"],
                "apiGroups": ["apps"],
                "resources": ["deployments"],
                "resourceNames": ["web"],
            },
        ],
        "nonResourceRules": [],
        "incomplete": False,
    }
    assert ask(SELFSUBJECTRULESREVIEWS, {"namespace": "a"}, NODE, reader)["status"]["incomplete"] is True
    with pytest.raises(BadRequest, match="no namespace on request"):
        ask(SELFSUBJECTRULESREVIEWS, {}, user("alice"), reader)


# --- escalation


def write(
    reader: FakeReader, resource: Resource, obj: Object, who: User, old: Object | None = None
) -> ApiError | None:
    """Return what the escalation check says to a write."""
    attributes = Attributes(
        operation="UPDATE" if old else "CREATE",
        resource=resource,
        namespace=obj["metadata"].get("namespace", ""),
        name=obj["metadata"]["name"],
        object=obj,
        old_object=old,
        user=who,
    )
    [check] = authz.build(reader).admission
    try:
        asyncio.run(check.admit(attributes))
    except ApiError as error:
        return error
    return None


SECRETS = role("new", rule("get list", "core", "secrets"), namespace="a")
ALICE = user("alice", "dev")


def test_a_role_beyond_ones_own() -> None:
    error = write(granting(alice=rule("get", "core", "secrets")), ROLES, SECRETS, ALICE)
    assert error is not None
    assert error.message == (
        'roles.rbac.authorization.k8s.io "new" is forbidden: user "alice" (groups=["dev"]) is attempting to '
        "grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["list"]}'
    )


@pytest.mark.parametrize(
    ("held", "who"),
    [
        (rule("get list", "core", "secrets"), ALICE),
        (rule("*", "*", "*"), ALICE),
        (rule("escalate", "rbac.authorization.k8s.io", "roles"), ALICE),
        (rule("escalate", "rbac.authorization.k8s.io", "roles", "new"), ALICE),
        (rule("x", "x", "x"), MASTER),
    ],
    ids=str,
)
def test_a_role_within_ones_own(held: Object, who: User) -> None:
    assert write(granting(alice=held), ROLES, SECRETS, who) is None


def test_rights_in_another_namespace_do_not_count() -> None:
    reader = FakeReader()
    reader.put(ROLES, role("r", rule("*", "*", "*"), namespace="b"))
    reader.put(ROLEBINDINGS, binding("r", "Role/r", "User:alice", namespace="b"))
    assert write(reader, ROLES, SECRETS, ALICE) is not None
    in_b = role("new", rule("get list", "core", "secrets"), namespace="b")
    assert write(reader, ROLES, in_b, ALICE) is None


def test_the_collector_may_touch_a_role() -> None:
    old = {**SECRETS, "metadata": {**SECRETS["metadata"], "finalizers": ["x"], "resourceVersion": "1"}}
    assert write(FakeReader(), ROLES, SECRETS, ALICE, old) is None
    relabelled = {**SECRETS, "metadata": {**SECRETS["metadata"], "labels": {"a": "b"}}}
    assert write(FakeReader(), ROLES, relabelled, ALICE, SECRETS) is not None


def test_aggregation_needs_everything() -> None:
    aggregated = role("sum", aggregationRule={"clusterRoleSelectors": [{}]})
    error = write(granting(alice=rule("get list", "*", "*")), CLUSTERROLES, aggregated, ALICE)
    assert error is not None
    assert error.message.endswith("must have cluster-admin privileges to use the aggregationRule")


def test_a_binding_beyond_ones_own() -> None:
    reader = granting(alice=rule("get", "core", "pods"))
    reader.put(CLUSTERROLES, role("strong", rule("get", "core", "secrets")))
    bound = binding("b", "ClusterRole/strong", "User:me", namespace="a")
    error = write(reader, ROLEBINDINGS, bound, ALICE)
    assert isinstance(error, Forbidden)
    assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in error.message

    binder = granting(alice=rule("bind", "rbac.authorization.k8s.io", "clusterroles", "strong"))
    binder.put(CLUSTERROLES, role("strong", rule("get", "core", "secrets")))
    assert write(binder, ROLEBINDINGS, bound, ALICE) is None
    assert write(reader, ROLEBINDINGS, binding("b", "ClusterRole/alice", "User:me"), ALICE) is None


def test_a_binding_to_a_role_that_is_not_there() -> None:
    bound = binding("b", "ClusterRole/nosuch", "User:me", namespace="a")
    error = write(FakeReader(), ROLEBINDINGS, bound, ALICE)
    assert isinstance(error, NotFound)
    assert error.message == 'clusterroles.rbac.authorization.k8s.io "nosuch" not found'
