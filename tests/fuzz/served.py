"""An API server in the test's process with all of its chain, and a guard against requests that never end."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import orjson

from podium.apiserver.access import access_factory
from podium.apiserver.authn import Options
from podium.apiserver.server import ApiServer, Config
from podium.base import pki
from podium.base.http.message import Headers, Request, Response
from podium.store.sqlite import SqliteStore

TOKEN = "fuzz"
REQUEST_S_MAX = 10
"""Upstream gives up on a request after a minute; none of ours should need a fraction of that."""


class Hung(BaseException):
    """A request kept the processor for too long; the traceback says where."""


@contextmanager
def patience(seconds: int = REQUEST_S_MAX) -> Iterator[None]:
    """Raise `Hung` where the block is after `seconds` of processor time, even if it never awaits anything."""

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Served:
    """Requests to one server, as an administrator."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server

    async def send(
        self, method: str, target: str, body: bytes = b"", *, type: str = "", accept: str = "*/*"
    ) -> Response:
        async def read() -> bytes:
            return body

        headers = [("user-agent", "fuzz/1"), ("accept", accept), ("authorization", f"Bearer {TOKEN}")]
        if type:
            headers.append(("content-type", type))
        request = Request(method=method, target=target, headers=Headers(headers), read_body=read)
        with patience():
            return await self.server.handler(request)

    async def call(
        self,
        method: str,
        target: str,
        body: Any = b"",
        *,
        type: str = "application/json",
        accept: str = "*/*",
    ) -> tuple[int, bytes]:
        """Send a request; return the status and the body's bytes."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        response = await self.send(method, target, raw, type=type, accept=accept)
        content = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        return response.status, content


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[Served]:
    """Run a server over a store in `directory`, with authentication, RBAC and admission."""
    options = Options(
        issuer="https://fuzz.example",
        service_account_keys=[],
        signing_key=pki.create_signing_key(),
        audiences=[],
        token_file=[f'{TOKEN},admin,1,"system:masters"'],
        bootstrap_tokens=True,
    )
    store = await SqliteStore.open(directory / "store.db")
    server = ApiServer(store, Config(), access=access_factory(options))
    await server.start()
    try:
        yield Served(server)
    finally:
        await server.stop()
        await store.close()
