"""An API server in the test's own process, spoken to by calling its handler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from podium.apiserver.encryption.encryption import Encryption
from podium.apiserver.server import ApiServer, Config
from podium.base.clock import Clock
from podium.base.http.message import Headers, Request, Response
from podium.store.sqlite import SqliteStore

PATIENCE_S = 10.0


class Collector:
    """A client of a watch, in memory. Reads nothing while `stalled`."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.stalled = False
        self.aborted = False
        self.buffered_bytes = 0
        self.arrived = asyncio.Event()
        self._gone = asyncio.Event()

    @property
    def closed(self) -> bool:
        return self._gone.is_set()

    def write(self, data: bytes) -> None:
        if self.stalled:
            self.buffered_bytes += len(data)
            return
        self.lines += [orjson.loads(line) for line in data.splitlines()]
        self.arrived.set()

    async def drain(self) -> None:
        return

    async def wait_closed(self) -> None:
        await self._gone.wait()

    def abort(self) -> None:
        self.aborted = True
        self._gone.set()

    def leave(self) -> None:
        self._gone.set()

    async def expect(self, count: int) -> list[Any]:
        """Return the events once there are `count` of them."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.lines) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.lines


@dataclass(slots=True, kw_only=True)
class Watching:
    """A watch in the background."""

    client: Collector
    task: asyncio.Task[None]

    async def end(self) -> None:
        self.client.leave()
        await self.task


@dataclass(slots=True, kw_only=True)
class Api:
    """Requests to one server."""

    server: ApiServer
    store: SqliteStore
    watches: list[Watching] = field(default_factory=list)

    async def send(
        self, method: str, target: str, body: Any = None, *, type: str = "application/json", accept: str = ""
    ) -> Response:
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)

        async def read() -> bytes:
            return raw

        headers = [("user-agent", "tester/1"), ("accept", accept or "application/json")]
        if body is not None:
            headers.append(("content-type", type))
        response = await self.server.handler(
            Request(method=method, target=target, headers=Headers(headers), read_body=read)
        )
        if response.sent is not None:
            response.sent()
        return response

    async def call(self, method: str, target: str, body: Any = None, **options: str) -> tuple[int, Any]:
        """Send a request; return the status and the decoded body."""
        response = await self.send(method, target, body, **options)
        content = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        return response.status, orjson.loads(content) if content else None

    async def ok(self, method: str, target: str, body: Any = None, **options: str) -> Any:
        """As `call`, for a request that must succeed."""
        status, content = await self.call(method, target, body, **options)
        assert status < 300, content
        return content

    async def watch(self, target: str, **options: str) -> Watching:
        response = await self.send("GET", target, **options)
        stream = response.stream
        assert stream is not None, response.body
        client = Collector()

        async def serve() -> None:
            await stream(client)

        watching = Watching(client=client, task=asyncio.create_task(serve()))
        self.watches.append(watching)
        await asyncio.sleep(0)
        return watching


@asynccontextmanager
async def api(
    directory: Path,
    *,
    clock: Clock | None = None,
    config: Config | None = None,
    prepare: Callable[[ApiServer], None] = lambda _server: None,
    encryption: Encryption | None = None,
) -> AsyncIterator[Api]:
    """Run a server without access control over a store in `directory`, `prepare`d before it starts."""
    store = await SqliteStore.open(directory / "store.db")
    server = ApiServer(store, config or Config(), clock=clock, encryption=encryption)
    prepare(server)
    await server.start()
    running = Api(server=server, store=store)
    try:
        yield running
    finally:
        for watching in running.watches:
            await watching.end()
        await server.stop()
        await store.close()
