"""The modes together, what a refusal says, and impersonation."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from podium.apiserver import authz
from podium.apiserver.authn.impersonation import HeaderImpersonator, Wanted, modes, take_wanted
from podium.apiserver.authz.configuration import of_modes
from podium.apiserver.authz.messages import forbidden
from podium.apiserver.authz.metrics import AuthorizationMetrics
from podium.apiserver.authz.union import Chain, Link
from podium.apiserver.bootstrap import node_rules
from podium.apiserver.chain import Decision, HeldRules, RequestInfo, User
from podium.base.http.message import Headers, Request
from podium.base.metrics import Registry
from podium.machinery.errors import BadRequest, Forbidden, Object
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES
from tests.apiserver.authz.helpers import MASTER, NODE, binding, granting, role, rule
from tests.apiserver.fakes import FakeReader, asks, asks_path, user


def decide(reader: FakeReader, who: User, info: RequestInfo, *modes: str) -> tuple[bool, str]:
    options = authz.Options(chain=of_modes(modes or ("Node", "RBAC")))
    built = authz.build(reader, options, node_rules=node_rules())
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


def test_messages_are_no_markup() -> None:
    message = forbidden(user("<b>"), asks_path("/<script>&"), "<why>").message
    assert message == 'forbidden: User "&lt;b&gt;" cannot get path "/&lt;script&gt;&amp;": <why>'
    assert forbidden(user("b"), asks_path("/")).headers == {"x-content-type-options": "nosniff"}


class Says:
    """An authorizer of a test."""

    def __init__(self, decision: Decision) -> None:
        self.decision = decision

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return self.decision

    def decide(self, user: User, info: RequestInfo) -> Decision:
        return self.decision

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        return HeldRules(errors=(self.decision.reason,), incomplete=self.decision.denied)


NO_OPINION, YES = Decision(allowed=False, reason="a", error="x"), Decision(allowed=True, reason="yes")
NEVER = Decision(allowed=False, denied=True, reason="never")


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ((NO_OPINION, YES), YES),
        ((NO_OPINION, NEVER, YES), NEVER),
        ((YES, NEVER), YES),
        ((NO_OPINION, NO_OPINION), Decision(allowed=False, reason="a\na", error="x")),
        (
            (NO_OPINION, replace(NO_OPINION, reason="", error="y")),
            Decision(allowed=False, reason="a", error="[x, y]"),
        ),
        ((), Decision(allowed=False)),
    ],
    ids=str,
)
def test_the_first_opinion_counts(says: tuple[Decision, ...], expected: Decision) -> None:
    links = [Link(type="Webhook", name=str(at), mode=Says(one)) for at, one in enumerate(says)]
    chain = Chain(links, AuthorizationMetrics(Registry()))
    who, info = user("bob"), asks("get", "pods")
    assert asyncio.run(chain.authorize(who, info)) == expected
    assert chain.permits(who, info) is expected.allowed
    held = chain.rules_for(who, "a")
    assert (held.incomplete, held.errors) == (NEVER in says, tuple(one.reason for one in says))


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
    with pytest.raises(authz.Misconfigured, match="authorizer type Foo is not allowed"):
        authz.build(FakeReader(), authz.Options(chain=of_modes(("Foo",))))


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
