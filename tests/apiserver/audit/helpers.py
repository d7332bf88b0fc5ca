"""An API server that audits into a file, and what stands in the file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from podium.apiserver import authn
from podium.apiserver.access import access_factory
from podium.apiserver.audit import policy_file
from podium.apiserver.audit.backend import Losses
from podium.apiserver.audit.buffered import Batching
from podium.apiserver.audit.event import Event
from podium.apiserver.audit.metrics import AuditMetrics
from podium.apiserver.audit.options import LogOptions, Options, Sending
from podium.apiserver.http.subresources.streams import Streams
from podium.apiserver.server import ApiServer, Config, Limits
from podium.base import pki
from podium.base.clock import Clock
from podium.base.http.message import Headers, Request, Response
from podium.base.metrics import Registry
from podium.machinery.errors import Object
from podium.store.sqlite import SqliteStore
from tests.apiserver.fakes import FakeClock

PATIENCE_S = 10.0
TOKENS = ("root,root,1,system:masters", "alice,alice,2", "carol,carol,3,staff")
EVERYTHING = [{"level": "RequestResponse"}]


def policy(rules: list[Object], **more: Any) -> Object:
    return {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules, **more}


def options(directory: Path, rules: list[Object], *, mode: str = "blocking", **more: Any) -> Options:
    """Return what audits by these rules into `audit.log`."""
    return Options(
        policy=policy_file.parse(orjson.dumps(policy(rules, **more))),
        log=LogOptions(path=directory / "audit.log", sending=Sending(mode=mode, batching=Batching())),
    )


def events(directory: Path) -> list[Object]:
    return [orjson.loads(line) for line in (directory / "audit.log").read_bytes().splitlines()]


class StandingClock(FakeClock):
    """Time stands still, and whoever sleeps sleeps as long as ever."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Audited:
    """Requests to one server, and the events that it has written."""

    def __init__(self, server: ApiServer, directory: Path) -> None:
        self.server = server
        self._directory = directory

    async def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        user: str = "root",
        type: str = "application/json",
        **headers: str,
    ) -> Response:
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)

        async def read() -> bytes:
            return raw

        fields = {"user-agent": "tester/1", "accept": "application/json"}
        if body is not None:
            fields["content-type"] = type
        if user:
            fields["authorization"] = f"Bearer {user}"
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = Request(
            method=method,
            target=target,
            headers=Headers(fields.items()),
            read_body=read,
            remote="192.0.2.7:4711",
        )
        return await self.server.handler(request)

    async def ok(self, method: str, target: str, body: Any = None, **more: Any) -> Any:
        response = await self.send(method, target, body, **more)
        content = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        assert response.status < 300, content
        return orjson.loads(content)

    def events(self, stage: str = "") -> list[Object]:
        """Return the events so far, or those of a stage."""
        return [one for one in events(self._directory) if stage in ("", one["stage"])]

    def last(self) -> Object:
        return self.events()[-1]


@cache
def _signing_key() -> bytes:
    return pki.create_signing_key()


@asynccontextmanager
async def audited(
    directory: Path,
    rules: list[Object],
    *,
    clock: Clock | None = None,
    limits: Limits | None = None,
    streams: Streams | None = None,
    **more: Any,
) -> AsyncIterator[Audited]:
    """Run a server with access control that audits by these rules."""
    store = await SqliteStore.open(directory / "store.db")
    who = authn.Options(issuer="https://issuer", token_file=TOKENS, signing_key=_signing_key())
    config = Config(audit=options(directory, rules, **more), limits=limits or Limits())
    server = ApiServer(store, config, access=access_factory(who, clock=clock), clock=clock, streams=streams)
    await server.start()
    running = Audited(server, directory)
    try:
        yield running
    finally:
        await server.stop()
        await store.close()


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(3 * PATIENCE_S):
            await main()

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Return once something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


# --- the room without a server


def event(name: str = "a", *, objects: int = 0, **more: Any) -> Event:
    """Return an event of about 400 bytes, with objects of so many more."""
    filled = orjson.dumps({"data": "x" * objects}) if objects else b""
    fields = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": name,
        "stage": "ResponseComplete",
        "requestURI": "/api",
        "verb": "get",
        "user": {"username": "alice", "groups": ["a", "b"]},
        "requestReceivedTimestamp": "2026-03-01T12:00:00.250000Z",
        "stageTimestamp": "2026-03-01T12:00:00.250000Z",
        **more,
    }
    return Event(fields, request=filled)


class Sink:
    """A backend that remembers; it may be told to hang or to fail."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.fails = False
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.closed = False

    async def process(self, events: Any) -> bool:
        await self.may_go.wait()
        self.batches.append([one.fields["auditID"] for one in events])
        return not self.fails

    async def close(self) -> None:
        self.closed = True

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


class Counted:
    """Losses that a test can read."""

    def __init__(self) -> None:
        self.metrics = AuditMetrics(Registry())
        self.losses = Losses(self.metrics)

    def lost(self, plugin: str) -> float:
        return self.metrics.errors.labels(plugin).value
