"""The webhook authorizer against a real server: what it is told, what is kept, what failures mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver import authz
from podium.apiserver.authz.conditions import compile_all
from podium.apiserver.authz.configuration import AuthorizerConfig, Webhook
from podium.apiserver.authz.metrics import AuthorizationMetrics
from podium.apiserver.chain import Decision, RequestInfo, User
from podium.base.http.message import Response
from podium.base.metrics import Registry
from podium.client import kubeconfig
from podium.machinery.errors import Object
from tests.apiserver.authz.webhooks import Reviewer, run
from tests.apiserver.fakes import FakeClock, FakeReader, asks, asks_path, user

ALICE = User(name="alice", uid="7", groups=("dev", "system:authenticated"), extra={"scopes": ("a", "b")})
PODS = asks("get", "pods/log", namespace="a", name="p")


class Authorizer:
    """One webhook authorizer under test, in a chain of its own."""

    def __init__(
        self, hook: Reviewer, directory: Path, conditions: tuple[str, ...] = (), **config: Any
    ) -> None:
        self.clock = FakeClock()
        self.registry = Registry()
        compiled, errors = compile_all([{"expression": one} for one in conditions], "x", version="1.36")
        assert not errors
        webhook = Webhook(kubeconfig=hook.kubeconfig(directory), version="v1", conditions=compiled)
        webhook = replace(webhook, **config)
        built = authz.build(
            FakeReader(),
            authz.Options(chain=[AuthorizerConfig(type="Webhook", name="hook", webhook=webhook)]),
            clock=self.clock,
            registry=self.registry,
        )
        self.authorize = built.authorizer.authorize
        assert not built.permits(ALICE, PODS), "nothing can be said at once"

    def counted(self, name: str) -> dict[tuple[str, ...], float]:
        family = self.registry.families[f"apiserver_authorization_{name}"]
        return {labels: child.value for labels, child in family.children() if child.value}  # type: ignore[union-attr]


def test_what_it_is_told(tmp_path: Path) -> None:
    async def test(hook: Reviewer) -> None:
        decision = await Authorizer(hook, tmp_path).authorize(ALICE, PODS)
        assert decision == Decision(allowed=True)
        [review] = hook.asked
        assert hook.targets == ["/authorize?timeout=30s"]
        assert (review["apiVersion"], review["kind"]) == ("authorization.k8s.io/v1", "SubjectAccessReview")
        assert review["spec"] == {
            "resourceAttributes": {
                "namespace": "a",
                "verb": "get",
                "version": "v1",
                "resource": "pods",
                "subresource": "log",
                "name": "p",
            },
            "user": "alice",
            "groups": ["dev", "system:authenticated"],
            "extra": {"scopes": ["a", "b"]},
            "uid": "7",
        }

    run(test)


def test_paths_and_the_old_version(tmp_path: Path) -> None:
    async def test(hook: Reviewer) -> None:
        await Authorizer(hook, tmp_path, version="v1beta1").authorize(user("bob", "dev"), asks_path("/x"))
        [review] = hook.asked
        assert review["apiVersion"] == "authorization.k8s.io/v1beta1"
        assert review["spec"] == {
            "nonResourceAttributes": {"path": "/x", "verb": "get"},
            "user": "bob",
            "group": ["dev"],
        }

    run(test)


def test_selectors_are_told_parsed(tmp_path: Path) -> None:
    async def test(hook: Reviewer) -> None:
        authorizer = Authorizer(hook, tmp_path)
        info = replace(
            asks("list", "pods", fields="spec.nodeName=n1,status.phase!=Failed"),
            label_selector="app in (b,a),!old,new,x>5,tier!=db",
        )
        await authorizer.authorize(ALICE, info)
        await authorizer.authorize(ALICE, replace(info, field_selector="nonsense", label_selector="a b"))
        told, ignored = (spec["resourceAttributes"] for spec in hook.specs)
        assert told["fieldSelector"] == {
            "requirements": [
                {"key": "spec.nodeName", "operator": "In", "values": ["n1"]},
                {"key": "status.phase", "operator": "NotIn", "values": ["Failed"]},
            ]
        }
        assert told["labelSelector"] == {
            "requirements": [
                {"key": "app", "operator": "In", "values": ["a", "b"]},
                {"key": "new", "operator": "Exists"},
                {"key": "old", "operator": "DoesNotExist"},
                {"key": "tier", "operator": "NotIn", "values": ["db"]},
            ]
        }
        assert not ignored.keys() & {"fieldSelector", "labelSelector"}

    run(test)


BOTH = "webhook subject access review returned both allow and deny response"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"allowed": True, "reason": "yes"}, Decision(allowed=True, reason="yes")),
        ({"allowed": False, "reason": "no"}, Decision(allowed=False, reason="no")),
        ({}, Decision(allowed=False)),
        ({"denied": True, "reason": "never"}, Decision(allowed=False, denied=True, reason="never")),
        (
            {"allowed": True, "denied": True},
            Decision(allowed=False, denied=True, error=BOTH),
        ),
    ],
    ids=str,
)
def test_opinions(tmp_path: Path, status: Object, expected: Decision) -> None:
    async def test(hook: Reviewer) -> None:
        hook.reply = lambda _spec: status
        authorizer = Authorizer(hook, tmp_path)
        assert await authorizer.authorize(ALICE, PODS) == expected
        word = "allowed" if expected.allowed else "denied"
        decided = {("Webhook", "hook", word): 1} if expected.allowed or expected.denied else {}
        assert authorizer.counted("decisions_total") == decided

    run(test)


def test_answers_are_kept_for_a_while(tmp_path: Path) -> None:
    async def test(hook: Reviewer) -> None:
        authorizer = Authorizer(hook, tmp_path, authorized_ttl_s=300, unauthorized_ttl_s=30)

        async def asked(info: RequestInfo) -> int:
            before = len(hook.asked)
            await authorizer.authorize(ALICE, info)
            return len(hook.asked) - before

        assert (await asked(PODS), await asked(PODS)) == (1, 0)
        authorizer.clock.advance(299)
        assert await asked(PODS) == 0
        authorizer.clock.advance(2)
        assert await asked(PODS) == 1
        hook.reply = lambda _spec: {"allowed": False}
        other = replace(PODS, name="other")
        assert (await asked(other), await asked(other)) == (1, 0)
        authorizer.clock.advance(31)
        assert (await asked(other), await asked(PODS)) == (1, 0)
        long = asks_path("/" + "x" * 10_000)
        assert (await asked(long), await asked(long)) == (1, 1), "what is too long is not kept"

    run(test)


def test_nothing_is_kept_where_that_is_off(tmp_path: Path) -> None:
    async def test(hook: Reviewer) -> None:
        authorizer = Authorizer(hook, tmp_path, authorized_ttl_s=0)
        for _ in range(2):
            await authorizer.authorize(ALICE, PODS)
        assert len(hook.asked) == 2

    run(test)


def status_of(code: int, body: bytes = b"") -> Response:
    return Response(status=code, body=body)


@pytest.mark.parametrize(
    ("code", "body", "calls", "told"),
    [
        (500, b"oops", 5, 'an error on the server ("oops") has prevented the request from succeeding'),
        (429, b"", 5, "the server has received too many requests and has asked us to try again later"),
        (403, b"go away", 1, "go away"),
        (302, b"", 1, "the server responded with the status code 302"),
        (200, b"garbage", 1, "couldn't get version/kind; json parse error"),
        (200, b"[]", 1, "the answer is no SubjectAccessReview"),
        (
            200,
            b'{"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "status": 5}',
            1,
            "status",
        ),
        (
            200,
            b'{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":"yes"}}',
            1,
            "the answer's status is not one",
        ),
    ],
)
@pytest.mark.parametrize("denies", [False, True])
def test_failures(tmp_path: Path, code: int, body: bytes, calls: int, told: str, denies: bool) -> None:
    async def test(hook: Reviewer) -> None:
        hook.raw = lambda: status_of(code, body)
        authorizer = Authorizer(hook, tmp_path, denies_on_error=denies)
        decision = await authorizer.authorize(ALICE, PODS)
        assert (decision.allowed, decision.denied) == (False, denies)
        assert told in decision.error
        assert len(hook.asked) == calls, "what may pass is tried again"
        assert bool(authorizer.counted("webhook_evaluations_fail_open_total")) is not denies

    run(test)


def test_nobody_there_and_no_answer_in_time(tmp_path: Path) -> None:
    async def test(hook: Reviewer) -> None:
        authorizer = Authorizer(hook, tmp_path, timeout_s=0.05)
        hook.hangs.clear()
        decision = await authorizer.authorize(ALICE, PODS)
        assert decision.error.endswith('/authorize?timeout=50ms": context deadline exceeded'), decision.error
        assert authorizer.counted("webhook_evaluations_total") == {("hook", "timeout"): 1}
        hook.hangs.set()
        await hook.server.stop()
        decision = await authorizer.authorize(ALICE, replace(PODS, name="other"))
        assert "connect: connection refused" in decision.error

    run(test)


@pytest.mark.parametrize(
    ("conditions", "asked", "error"),
    [
        (("request.user == 'alice'", "request.resourceAttributes.verb == 'get'"), True, ""),
        (("request.resourceAttributes.group == ''",), True, ""),
        (("request.user != 'alice'",), False, ""),
        (("has(request.nonResourceAttributes)",), False, ""),
        (
            ("'dev' in request.groups && request.extra['scopes'] == ['a', 'b'] && request.uid == '7'",),
            True,
            "",
        ),
        (("has(request.resourceAttributes.fieldSelector)",), False, ""),
        (("request.nonResourceAttributes.path == '/'", "false"), False, ""),
        (
            ("request.extra['nope'] == ['x']", "true"),
            False,
            "cel evaluation error: expression 'request.extra['nope'] == ['x']' resulted in error: "
            "no such key: nope",
        ),
    ],
    ids=str,
)
def test_match_conditions(tmp_path: Path, conditions: tuple[str, ...], asked: bool, error: str) -> None:
    async def test(hook: Reviewer) -> None:
        authorizer = Authorizer(hook, tmp_path, conditions, denies_on_error=True)
        decision = await authorizer.authorize(ALICE, PODS)
        assert bool(hook.asked) is asked
        assert (decision.denied, decision.error) == (bool(error), error)
        excluded = not asked and not error
        assert bool(authorizer.counted("match_condition_exclusions_total")) is excluded
        if error:
            assert authorizer.counted("match_condition_evaluation_errors_total")

    run(test)


def test_its_rules_cannot_be_told() -> None:
    connection = kubeconfig.Connection(server="http://127.0.0.1:1")
    from podium.apiserver.authz.webhook import WebhookAuthorizer  # noqa: PLC0415

    metrics = AuthorizationMetrics(Registry())
    held = WebhookAuthorizer("x", Webhook(), connection, metrics=metrics, clock=FakeClock()).rules_for(
        ALICE, "a"
    )
    assert (held.rules, held.incomplete) == ((), True)
    assert held.errors == ("webhook authorizer does not support user rule resolution",)


def test_a_server_does_not_ask_itself() -> None:
    chain = [AuthorizerConfig(type="Webhook", name="own", webhook=Webhook())]
    with pytest.raises(authz.Misconfigured, match="InClusterConfig is not allowed for kube-apiserver"):
        authz.build(FakeReader(), authz.Options(chain=chain))
