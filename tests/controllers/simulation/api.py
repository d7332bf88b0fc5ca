"""The API of a simulation: `FakeApi` behind a network that is slow, loses answers, and shows changes late.

Each request takes time on its way there and back, so that whatever others do may fall between any two of
them. Each watcher gets its events with a delay of its own: no two caches are equally old.
"""

from __future__ import annotations

import asyncio
import bisect
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from operator import itemgetter
from typing import Any

from podium.base.ids import SUFFIX_ALPHABET, SUFFIX_LENGTH
from podium.client.client import PatchType, WatchEvent
from podium.machinery import meta
from podium.machinery.errors import Expired, Json, Object
from podium.machinery.resource import Resource
from podium.resources.core.events import EVENTS
from tests.controllers.simulation.loop import SimulatedClock
from tests.runtime.fakes import FakeApi, FakeClient

Fault = Callable[[str, Resource, Object], Exception | None]


class SimulatedApi(FakeApi):
    """The store, and how the network treats those who use it."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(SimulatedClock())
        self.random = rng
        self.new_uid = lambda: f"{rng.getrandbits(128):032x}"
        self.new_suffix = lambda: "".join(rng.choices(SUFFIX_ALPHABET, k=SUFFIX_LENGTH))
        self.latency_s_max = 0.02
        """How long a request takes at most, each way."""
        self.lag_s_max = 0.02
        """How late a watcher gets an event at most."""
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def client(self) -> SimulatedClient:
        return SimulatedClient(self)

    def versions(self, resource: Resource, uid: str, *, known_at: int) -> list[Object]:
        """Return what the object with `uid` has been since revision `known_at`, starting with what it was
        then: what a controller may take it for, whose cache is that old."""
        found: list[Object] = []
        for revision, plural, _, obj in self.log:
            if plural == resource.group_plural and meta.uid(obj) == uid:
                if revision <= known_at:
                    found.clear()
                found.append(obj)
        return found

    def stamp(self) -> str:
        """Return the time as objects have it."""
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    async def travel(self, longest_s: float) -> None:
        """Let the time pass that a message needs: none, or up to `longest_s`."""
        await asyncio.sleep(self.random.random() * longest_s if longest_s else 0)

    # Who waits for changes

    def _notify(self) -> None:
        for plural in list(self._waiting):
            self._wake(plural)

    def record(self, resource: Resource, type: str, obj: Object) -> None:
        self.log.append((self.revision, resource.group_plural, type, obj))
        self._wake(resource.group_plural)

    def _wake(self, plural: str) -> None:
        for future in self._waiting.pop(plural, ()):
            if not future.done():
                future.set_result(None)

    async def change_of(self, resource: Resource, until_s: float) -> None:
        """Return when there may be news of `resource`, at the latest at `until_s`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(resource.group_plural, []).append(future)
        timer = loop.call_at(until_s, lambda: None if future.done() else future.set_result(None))
        try:
            await future
        finally:
            timer.cancel()


class SimulatedClient(FakeClient):
    """A client on the other side of that network."""

    api: SimulatedApi

    async def _over_the_network(self, call: Callable[[], Awaitable[Object]]) -> Object:
        await self.api.travel(self.api.latency_s_max)
        answer = await call()
        await self.api.travel(self.api.latency_s_max)
        return answer

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        read = super().get
        return await self._over_the_network(lambda: read(resource, name, namespace))

    async def list(self, resource: Resource, namespace: str | None = None, **options: Any) -> Object:
        read = super().list
        return await self._over_the_network(lambda: read(resource, namespace, **options))

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Object:
        if resource is EVENTS:
            return obj  # nobody reads them here
        write = super().create
        return await self._over_the_network(
            lambda: write(resource, obj, namespace, subresource=subresource, name=name)
        )

    async def update(self, resource: Resource, obj: Object, *, subresource: str = "") -> Object:
        write = super().update
        return await self._over_the_network(lambda: write(resource, obj, subresource=subresource))

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Json,
        namespace: str | None = None,
        *,
        type: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        if resource is EVENTS:
            return dict(patch)
        write = super().patch
        return await self._over_the_network(
            lambda: write(resource, name, patch, namespace, type=type, subresource=subresource)
        )

    async def delete(
        self, resource: Resource, name: str, namespace: str | None = None, **options: Any
    ) -> Object:
        write = super().delete
        return await self._over_the_network(lambda: write(resource, name, namespace, **options))

    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = True,
        timeout_s: int = 0,
    ) -> AsyncIterator[WatchEvent]:
        assert not field_selector and not label_selector, "not simulated"
        api, plural = self.api, resource.group_plural
        epoch = api.epoch
        after = int(resource_version)
        await api.travel(api.latency_s_max)
        if after < api.compacted:
            raise Expired(f"too old resource version: {after} ({api.compacted})")
        position = bisect.bisect_right(api.log, after, key=itemgetter(0))
        end_s = asyncio.get_running_loop().time() + (timeout_s or 300)
        while asyncio.get_running_loop().time() < end_s:
            while position < len(api.log):
                revision, found, type, obj = api.log[position]
                if revision > api.held.get(plural, revision):
                    break
                position += 1
                if found != plural or (namespace is not None and meta.namespace(obj) != namespace):
                    continue
                if api.lag_s_max:
                    await api.travel(api.lag_s_max)
                if epoch != api.epoch:
                    raise ConnectionError("the watch was broken off")
                yield WatchEvent(type=type, object=dict(meta.deep_copy(obj)))
            if epoch != api.epoch:
                raise ConnectionError("the watch was broken off")
            await api.change_of(resource, end_s)
