"""Reads what extension API servers say they serve, and hands it to this server's own documents.

That happens when an APIService changes and once a minute; what has not changed costs a 304.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from podium.apiserver.aggregation import remote_discovery, remote_openapi
from podium.apiserver.aggregation.ask import ask
from podium.apiserver.aggregation.backends import Backends, Misconfigured
from podium.apiserver.aggregation.registration import Registration
from podium.apiserver.streaming.service_resolver import Unresolvable
from podium.base.backoff import Backoff
from podium.base.clock import Clock
from podium.base.http.client import HttpTransport
from podium.base.log import Log
from podium.machinery.errors import Object
from podium.runtime.metrics import QueueMetrics
from podium.runtime.workqueue import WorkQueue

WORKERS = 2
"""A server that is slow to answer must not hold up what the others have to say."""
REFRESH_S = 60.0
OPENAPI_TIMEOUT_S = 30.0
_BACKOFF = Backoff(initial_s=0.5, max_s=REFRESH_S)
_log = Log("podium.apiserver.aggregation")

_Trouble = (ConnectionError, TimeoutError, ValueError, Unresolvable, Misconfigured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What is known of one registration."""

    resources: list[Object] = field(default_factory=list)
    current: bool = False
    """The server was heard of at the last attempt."""
    v3_url: str = ""
    """Where its OpenAPI v3 document is, with the hash that it has."""
    v2: remote_openapi.Kept | None = None


@dataclass(slots=True, kw_only=True)
class _Server:
    """What one backend has told of everything it has."""

    etag: str = ""
    discovery: Mapping[remote_discovery.GroupVersion, remote_discovery.Resources] = field(
        default_factory=dict
    )


class Documents:
    """What is known of all registrations."""

    def __init__(
        self,
        backends: Backends,
        registration_of: Callable[[str], Registration | None],
        changed: Callable[[], None],
        clock: Clock,
        queues: QueueMetrics,
    ) -> None:
        self._backends = backends
        self._registration_of = registration_of
        self._changed = changed
        self._queue: WorkQueue[str] = WorkQueue(
            clock=clock, backoff=_BACKOFF, name="discovery-manager", metrics=queues
        )
        self._servers: dict[tuple[str, str, int, bytes, bool], _Server] = {}
        self._known: dict[str, Described] = {}

    def add(self, name: str) -> None:
        self._queue.add(name)

    def of(self, name: str) -> Described:
        return self._known.get(name) or Described()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            try:
                await self._refresh(name)
            except Exception:
                _log.exception("the documents of an APIService could not be read", name=name)
                self._queue.add_rate_limited(name)
            finally:
                self._queue.done(name)

    def keep(self, backends: set[tuple[str, str, int, bytes, bool]]) -> None:
        for key in [key for key in self._servers if key not in backends]:
            del self._servers[key]

    async def _refresh(self, name: str) -> None:
        wanted = self._registration_of(name)
        if wanted is None:
            self._queue.forget(name)
            if self._known.pop(name, None) is not None:
                self._changed()
            return
        before = self.of(name)
        try:
            transport = self._backends.transport(wanted)
            described = replace(before, resources=await self._discover(wanted, transport), current=True)
        except _Trouble as error:
            _log.warning("an extension server does not say what it serves", name=name, error=error)
            described = replace(before, current=False)
        else:
            described = await self._describe(wanted, transport, described)
        self._known[name] = described
        if described != before:
            self._changed()
        if described.current:
            self._queue.forget(name)
            self._queue.add_after(name, REFRESH_S)
        else:
            self._queue.add_rate_limited(name)

    async def _discover(self, wanted: Registration, transport: HttpTransport) -> list[Object]:
        server = self._servers.setdefault(wanted.backend, _Server())
        answer = await ask(transport, "/apis", accept=remote_discovery.ACCEPT, etag=server.etag)
        key = (wanted.group, wanted.version)
        if answer.status == 304:
            return server.discovery.get(key, [])
        if answer.status == 200 and remote_discovery.is_aggregated(answer.headers.get("content-type")):
            server.discovery = remote_discovery.from_aggregated(answer.body)
            server.etag = answer.headers.get("etag")
            return server.discovery.get(key, [])
        if answer.status == 503:
            raise ConnectionError("the server answers 503")
        answer = await ask(transport, wanted.path)
        if answer.status != 200:
            raise ConnectionError(f"{wanted.path} is answered with {answer.status}")
        return remote_discovery.from_plain(answer.body)

    async def _describe(
        self, wanted: Registration, transport: HttpTransport, described: Described
    ) -> Described:
        """Add the OpenAPI documents. A server without any is no worse for it."""
        try:
            async with asyncio.timeout(OPENAPI_TIMEOUT_S):
                v3_url = await self._v3_url(wanted, transport)
                kept = await self._v2(wanted, transport, described.v2)
        except _Trouble as error:
            _log.info("an extension server has no OpenAPI", name=wanted.name, error=error)
            return described
        return replace(described, v3_url=v3_url, v2=kept)

    async def _v3_url(self, wanted: Registration, transport: HttpTransport) -> str:
        answer = await ask(transport, "/openapi/v3", timeout_s=OPENAPI_TIMEOUT_S)
        if answer.status != 200:
            return ""
        return remote_openapi.v3_url(answer.body, wanted.group, wanted.version)

    async def _v2(
        self, wanted: Registration, transport: HttpTransport, before: remote_openapi.Kept | None
    ) -> remote_openapi.Kept | None:
        etag = before.etag if before is not None else ""
        answer = await ask(transport, "/openapi/v2", etag=etag, timeout_s=OPENAPI_TIMEOUT_S)
        if answer.status == 304:
            return before
        if answer.status != 200:
            return None
        return remote_openapi.keep(answer.body, answer.headers.get("etag"), wanted.group, wanted.version)
