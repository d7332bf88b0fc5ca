"""The webhook backend against a real HTTPS server that takes, refuses, hangs, and comes back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from podium.apiserver.audit import webhook
from podium.apiserver.audit.buffered import Batching, Buffered
from podium.apiserver.audit.webhook import ATTEMPTS, Webhook
from podium.base.http.message import Headers, Request, Response
from podium.base.http.server import Server
from podium.client.kubeconfig import Connection
from tests.apiserver.audit.helpers import Counted, event, run, until
from tests.apiserver.fakes import FakeClock
from tests.base.certs import authority


class Receiver:
    """Takes lists of events; `answer` may be another one."""

    def __init__(self) -> None:
        self.posts: list[tuple[Request, Any]] = []
        self.answer: Callable[[], Awaitable[int]] | None = None
        self.server = Server(self._answer)

    async def _answer(self, request: Request) -> Response:
        self.posts.append((request, orjson.loads(await request.read_body())))
        status = 200 if self.answer is None else await self.answer()
        return Response(status=status, headers=Headers([("content-type", "application/json")]), body=b"{}")

    @property
    def names(self) -> list[str]:
        return [item["auditID"] for _, posted in self.posts for item in posted["items"]]


@asynccontextmanager
async def receiving(**more: Any) -> AsyncIterator[tuple[Receiver, Webhook, Counted, asyncio.Event]]:
    receiver, counted, ending = Receiver(), Counted(), asyncio.Event()
    await receiver.server.start("127.0.0.1", 0, authority().server_context())
    connection = Connection(
        server=f"https://127.0.0.1:{receiver.server.port}{more.pop('path', '')}",
        ca=authority().pem,
        token="secret",
        **more,
    )
    sending = Webhook(
        connection, initial_backoff_s=10.0, losses=counted.losses, clock=FakeClock(), ending=ending
    )
    try:
        yield receiver, sending, counted, ending
    finally:
        await sending.close()
        await receiver.server.stop()


@pytest.mark.parametrize(("path", "target"), [("", "/"), ("/", "/"), ("/audit", "/audit"), ("/a/b/", "/a/b")])
def test_events_arrive(path: str, target: str) -> None:
    async def main() -> None:
        async with receiving(path=path) as (receiver, sending, counted, _):
            assert await sending.process([event("a"), event("b", objects=10)])
            ((request, posted),) = receiver.posts
            assert (request.method, request.path, request.raw_query) == ("POST", target, "timeout=30s")
            assert request.headers.get("authorization") == "Bearer secret"
            assert request.headers.get("content-type") == "application/json"
            assert (posted["kind"], posted["apiVersion"]) == ("EventList", "audit.k8s.io/v1")
            assert receiver.names == ["a", "b"]
            assert counted.lost("webhook") == 0

    run(main)


def test_whatever_goes_wrong_it_is_tried_again() -> None:
    async def main() -> None:
        statuses = [500, 404, 302, 200]

        async def next_status() -> int:
            return statuses.pop(0)

        async with receiving() as (receiver, sending, counted, _):
            receiver.answer = next_status
            assert await sending.process([event("a")])
            assert receiver.names == ["a"] * 4
            assert counted.lost("webhook") == 0

    run(main)


def test_after_five_times_the_events_are_lost_and_the_next_may_arrive(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        async def refused() -> int:
            return 503

        async with receiving() as (receiver, sending, counted, _):
            receiver.answer = refused
            with caplog.at_level(logging.ERROR):
                assert not await sending.process([event("a"), event("b")])
            assert len(receiver.posts) == ATTEMPTS
            assert counted.lost("webhook") == 2
            assert "the webhook answered 503" in str(caplog.records[0].fields)  # type: ignore[attr-defined]
            receiver.answer = None
            assert await sending.process([event("c")])

    run(main)


def test_a_server_that_hangs_or_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.02)

    async def main() -> None:
        never = asyncio.Event()

        async def hang() -> int:
            await never.wait()
            return 200

        async with receiving() as (receiver, sending, counted, _):
            receiver.answer = hang
            assert not await sending.process([event("a")])
            assert counted.lost("webhook") == 1
            never.set()
            monkeypatch.setattr(webhook, "TIMEOUT_S", 10.0)
            receiver.answer = None
            assert await sending.process([event("b")])
            await receiver.server.stop()
            assert not await sending.process([event("c")])
            assert counted.lost("webhook") == 2

    run(main)


def test_a_certificate_of_somebody_else_is_not_believed() -> None:
    async def main() -> None:
        async with receiving(tls_server_name="elsewhere.example.com") as (receiver, sending, counted, _):
            assert not await sending.process([event("a")])
            assert receiver.posts == []
            assert counted.lost("webhook") == 1

    run(main)


def test_the_end_waits_for_no_further_attempt() -> None:
    async def main() -> None:
        async def refused() -> int:
            return 503

        async with receiving() as (receiver, sending, _, ending):
            receiver.answer = refused
            ending.set()
            assert not await sending.process([event("a")])
            assert len(receiver.posts) == 1

    run(main)


def test_a_buffer_in_front_of_it_is_emptied_at_the_end() -> None:
    async def main() -> None:
        async with receiving() as (receiver, sending, counted, ending):
            batching = Batching(size_max=2, wait_max_s=3600.0)
            buffer = Buffered(sending, batching, counted.losses, FakeClock(), ending)
            await buffer.process([event(str(number)) for number in range(5)])
            ending.set()
            await buffer.close()
            await until(lambda: len(receiver.names) == 5)
            assert sorted(receiver.names) == ["0", "1", "2", "3", "4"]

    run(main)
