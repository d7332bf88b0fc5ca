"""The token webhook, against a real server: what it is told, whom it names, what is kept of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver import authn
from podium.apiserver.authn import token_cache
from podium.apiserver.authn.bearer import BearerAuthenticator, Identified, Refused
from podium.apiserver.authn.token_cache import CachedTokenAuthenticator, TokenCacheMetrics
from podium.apiserver.authn.token_file import TokenFileAuthenticator
from podium.apiserver.authn.webhook import WebhookAuthenticator, WebhookOptions
from podium.apiserver.chain import User
from podium.base.http.message import Headers, Response
from podium.base.metrics import Registry
from podium.client import kubeconfig
from podium.machinery.errors import Unauthorized
from tests.apiserver.authn.helpers import ISSUER, cluster, request
from tests.apiserver.authz.webhooks import Reviewer, run
from tests.apiserver.fakes import FakeClock

API = ("https://api",)


def options(hook: Reviewer, folder: Path, version: str = "v1") -> WebhookOptions:
    return WebhookOptions(connection=kubeconfig.load(hook.kubeconfig(folder)), version=version)


async def asked(
    hook: Reviewer, folder: Path, audiences: tuple[str, ...] = API, version: str = "v1"
) -> Identified | None:
    webhook = WebhookAuthenticator(options(hook, folder, version), audiences=API, clock=FakeClock())
    task = asyncio.create_task(webhook.run())
    try:
        return await webhook.identify("secret", audiences)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_what_it_is_told_and_whom_it_names(tmp_path: Path) -> None:
    async def test(hook: Reviewer) -> None:
        hook.reply = lambda _spec: {
            "authenticated": True,
            "user": {"username": "jane", "uid": "1", "groups": ["dev"], "extra": {"a.org/b": ["c"]}},
        }
        assert await asked(hook, tmp_path) == Identified(
            user=User(
                name="jane", uid="1", groups=("dev", "system:authenticated"), extra={"a.org/b": ("c",)}
            ),
            audiences=API,
        )
        assert hook.targets == ["/authorize?timeout=30s"]
        (review,) = hook.asked
        assert review["apiVersion"] == "authentication.k8s.io/v1"
        assert review["kind"] == "TokenReview"
        assert review["spec"] == {"token": "secret", "audiences": ["https://api"]}

    run(test)


def test_the_old_version(tmp_path: Path) -> None:
    async def test(hook: Reviewer) -> None:
        hook.reply = lambda _spec: {"authenticated": True, "user": {"username": "jane"}}
        assert await asked(hook, tmp_path, version="v1beta1") is not None
        assert hook.asked[0]["apiVersion"] == "authentication.k8s.io/v1beta1"

    run(test)


@pytest.mark.parametrize(
    ("wanted", "told", "good_for"),
    [
        (API, None, API),
        (API, [], API),
        (("vault",), None, None),
        (("vault", "x"), ["vault", "y"], ("vault",)),
        (API, ["vault"], None),
    ],
)
def test_audiences(
    tmp_path: Path, wanted: tuple[str, ...], told: list[str] | None, good_for: tuple[str, ...] | None
) -> None:
    async def test(hook: Reviewer) -> None:
        status = {"authenticated": True, "user": {"username": "jane"}, "audiences": told}
        hook.reply = lambda _spec: status
        found = await asked(hook, tmp_path, wanted)
        assert (found.audiences if found else None) == good_for

    run(test)


def answer(body: bytes, status: int = 200) -> Callable[[], Response]:
    return lambda: Response(status=status, headers=Headers([("content-type", "application/json")]), body=body)


REVIEW = b'{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","status":%s}'


@pytest.mark.parametrize(
    ("raw", "why", "calls"),
    [
        (answer(REVIEW % b"{}"), None, 1),
        (answer(REVIEW % b'{"error":"expired"}'), "expired", 1),
        (answer(REVIEW % b'{"authenticated":"yes"}'), "status is not one of a TokenReview", 1),
        (answer(REVIEW % b'{"authenticated":true,"user":{"groups":"x"}}'), "status is not one of", 1),
        (answer(REVIEW % b"[]"), "status is not one of a TokenReview", 1),
        (answer(b"nonsense"), "json parse error", 1),
        (answer(b"[]"), "no TokenReview of authentication.k8s.io/v1", 1),
        (answer(REVIEW.replace(b"v1", b"v1beta1") % b"{}"), "no TokenReview of authentication.k8s.io/v1", 1),
        (answer(b"{}", 403), "", 1),
        (answer(b"{}", 500), "an error on the server", 5),
        (answer(b"{}", 429), "the server has received too many requests", 5),
    ],
)
def test_whom_it_does_not_name(
    tmp_path: Path, raw: Callable[[], Response], why: str | None, calls: int
) -> None:
    async def test(hook: Reviewer) -> None:
        hook.raw = raw
        if why is None:
            assert await asked(hook, tmp_path) is None
        else:
            with pytest.raises(Refused) as refused:
                await asked(hook, tmp_path)
            assert why in refused.value.why
        assert len(hook.asked) == calls

    run(test)


# --- what is kept


class Counting:
    """Answers as told, and counts."""

    def __init__(self, *answers: Identified | Unauthorized | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.go = asyncio.Event()
        self.go.set()

    async def identify(self, token: str, audiences: Any) -> Identified | None:
        self.asked.append((token, tuple(audiences)))
        await self.go.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Unauthorized):
            raise answer
        return answer


JANE = Identified(user=User(name="jane"))


class Cached:
    def __init__(self, counting: Counting, *, success: float = 10, failure: float = 5, errors: bool = True):
        self.counting, self.clock, self.registry = counting, FakeClock(), Registry()
        self.cache = CachedTokenAuthenticator(
            counting,
            success_ttl_s=success,
            failure_ttl_s=failure,
            clock=self.clock,
            metrics=TokenCacheMetrics(self.registry),
            errors=errors,
        )

    async def ask(self, token: str = "t", *audiences: str) -> Identified | Unauthorized | None:
        try:
            return await self.cache.identify(token, audiences)
        except Unauthorized as error:
            return error

    @property
    def count(self) -> int:
        return len(self.counting.asked)


@pytest.mark.parametrize(
    ("answer", "errors", "kept_s"),
    [
        (JANE, True, 10),
        (None, True, 5),
        (Refused("no"), True, 5),
        (Refused("no"), False, 0),
        (None, False, 5),
    ],
)
def test_how_long_an_answer_is_kept(answer: Any, errors: bool, kept_s: int) -> None:
    async def test() -> None:
        one = Cached(Counting(answer), errors=errors)
        assert await one.ask() == answer
        if kept_s:
            one.clock.advance(kept_s - 0.1)
            assert await one.ask() == answer
            assert one.count == 1
            one.clock.advance(0.2)
        await one.ask()
        assert one.count == 2

    asyncio.run(test())


def test_tokens_and_audiences_are_kept_apart() -> None:
    async def test() -> None:
        one = Cached(Counting(JANE))
        for token, audiences in (("t", ()), ("u", ()), ("t", ("a",)), ("t", ("a", "b")), ("t", ("ab",))):
            await one.ask(token, *audiences)
            await one.ask(token, *audiences)
        assert one.count == 5
        assert one.cache.recall("t", ("a",)) == JANE
        assert one.cache.recall("t", ("b",)) is None

    asyncio.run(test())


def test_questions_at_the_same_time_are_one() -> None:
    async def test() -> None:
        one = Cached(Counting(JANE))
        one.counting.go.clear()
        waiting = [asyncio.create_task(one.ask()) for _ in range(5)]
        while not one.count:
            await asyncio.sleep(0)
        waiting.pop().cancel()
        one.counting.go.set()
        assert await asyncio.gather(*waiting) == [JANE] * 4
        assert one.count == 1
        text = one.registry.text().decode()
        assert 'authentication_token_cache_fetch_total{status="ok"} 1\n' in text
        assert 'authentication_token_cache_active_fetch_count{status="blocked"} 0\n' in text
        await one.ask()
        assert 'authentication_token_cache_request_total{status="hit"} 1\n' in one.registry.text().decode()

    asyncio.run(test())


def test_an_answer_from_before_is_not_kept_after_forgetting() -> None:
    async def test() -> None:
        one = Cached(Counting(JANE, None))
        one.counting.go.clear()
        early = asyncio.create_task(one.ask())
        while not one.count:
            await asyncio.sleep(0)
        one.cache.forget()
        one.counting.go.set()
        assert await early == JANE
        assert await one.ask() is None
        assert one.count == 2

    asyncio.run(test())


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cache, "REMEMBERED_MAX", 3)

    async def test() -> None:
        one = Cached(Counting(JANE))
        for number in range(4):
            await one.ask(str(number))
        assert one.cache.recall("0", ()) is None
        assert one.cache.recall("1", ()) == JANE

    asyncio.run(test())


# --- all together


def test_it_is_asked_last_and_its_answers_are_kept(tmp_path: Path) -> None:
    async def test(hook: Reviewer) -> None:
        clock, registry = FakeClock(), Registry()
        built = authn.build(
            cluster(),
            authn.Options(issuer=ISSUER, token_file=["static,carol,3"], webhook=options(hook, tmp_path)),
            clock=clock,
            registry=registry,
        )

        async def who(token: str) -> str | None:
            user = await built.authenticator.authenticate(request(("Authorization", f"Bearer {token}")))
            return user.name if user is not None else None

        def at_once(token: str) -> str | None:
            user = built.recognise(request(("Authorization", f"Bearer {token}")))
            return user.name if user is not None else None

        hook.reply = lambda spec: {
            "authenticated": spec["token"] == "remote",
            "user": {"username": "jane"},
        }
        assert await who("static") == "carol"
        assert not hook.asked
        assert at_once("remote") is None
        assert await who("remote") == "jane"
        assert at_once("remote") == "jane"
        for _ in range(2):
            with pytest.raises(Unauthorized):
                await who("wrong")
        assert len(hook.asked) == 2
        clock.advance(11)
        assert at_once("remote") is None, "the shorter memory has forgotten"
        assert await who("remote") == "jane"
        assert len(hook.asked) == 2, "the longer one has not"
        clock.advance(120)
        assert await who("remote") == "jane"
        assert len(hook.asked) == 3

    run(test)


def test_a_static_token_is_not_good_for_other_audiences() -> None:
    bearer = BearerAuthenticator([TokenFileAuthenticator.parse(["static,carol,3"])], API)
    assert asyncio.run(bearer.identify("static", ("x", *API))).audiences == API
    with pytest.raises(Unauthorized):
        asyncio.run(bearer.identify("static", ("vault",)))
