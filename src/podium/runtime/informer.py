"""The informer: a local, read-only copy of one resource, kept current by list and watch.

Every component that looks at objects does it here: one list, then a watch that resumes where it broke off.
Bookmarks keep the resume point fresh; a 410 starts again from a list, and the difference between the old
copy and the new list reaches the subscribers as ordinary deltas, so none of them has to know.

The objects are shared by all readers and never change; copy what you want to change. Their
`metadata.managedFields` are dropped on arrival (nobody who reads a cache wants them, and they are the
larger half of many objects).
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass

from podium.base.backoff import Backoff
from podium.base.clock import Clock, WallClock
from podium.base.log import Log
from podium.client.client import Client, WatchEvent
from podium.machinery import meta
from podium.machinery.errors import ApiError, Gone, Object
from podium.machinery.resource import Resource

_log = Log("podium.informer")

REFUSED_BACKOFF = Backoff(initial_s=0.2, max_s=30.0)
"""When the server answers with an error."""
UNREACHABLE_BACKOFF = Backoff(initial_s=0.1, max_s=2.0)
"""When there is no answer: a server that is started again should find its watchers back at once."""
LOGGED_FAILURES = frozenset((3, 10, 100, 1000))
WATCH_TIMEOUT_S_MIN = 300
"""The server ends each watch after this, up to twice this: spread, so that not all return at once."""
WATCH_SHORT_S = 1.0
"""A watch that ends sooner without having brought anything counts as failed."""
WATCH_SILENCE_S = 60
"""How long past its end a watch may stay silent before the connection counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """One change of one object: added (`old` is None), changed, or deleted (`new` is None)."""

    old: Object | None
    new: Object | None

    @property
    def object(self) -> Object:
        """The newer of the two: what there is, or what was there last."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


Handler = Callable[[Delta], None]
Objects = list[Object]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Waiter:
    condition: Callable[[], bool]
    met: asyncio.Future[None]


class Informer:
    """A cache of one resource. Safe to read at any moment; complete once `synced`."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        clock: Clock | None = None,
        keep: Callable[[Object], Object] | None = None,
    ) -> None:
        """`keep` reduces each object to what its readers need, to save memory."""
        self.resource = resource
        self._keep = keep
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._clock = clock or WallClock()
        self._objects: dict[str, Object] = {}
        self._by_namespace: dict[str, dict[str, Object]] = {}
        self._indexers: dict[str, Callable[[Object], Iterable[str]]] = {}
        self._indexes: dict[str, dict[str, dict[str, Object]]] = {}
        self._handlers: deque[Handler] = deque()
        self._synced = asyncio.Event()
        self._version = ""
        self._version_number = 0
        self._waiters: deque[_Waiter] = deque()
        self._watching: asyncio.Timeout | None = None
        self._refresh_wanted = 0
        self._refresh_done = 0

    # Reading

    def get(self, key: str) -> Object | None:
        """Return the object at `namespace/name` (or `name`), None when there is none."""
        return self._objects.get(key)

    def list(self, namespace: str | None = None) -> Objects:
        """Return all objects, or those of one namespace, in no particular order."""
        if namespace is None:
            return list(self._objects.values())
        return list(self._by_namespace.get(namespace, {}).values())

    def count(self, namespace: str) -> int:
        """Return how many objects one namespace has."""
        return len(self._by_namespace.get(namespace, ()))

    def by_index(self, name: str, value: str) -> Objects:
        """Return the objects for which index `name` yields `value`."""
        return list(self._indexes[name].get(value, {}).values())

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def version(self) -> int:
        """The resourceVersion up to which this copy is known to be complete; 0 before the first list."""
        return self._version_number

    @property
    def synced(self) -> bool:
        """The first list has arrived."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Return once the first list has arrived."""
        await self._synced.wait()

    async def wait_version(self, version: int) -> None:
        """Return once this copy includes everything up to resourceVersion `version`."""
        await self.wait_until(lambda: self._version_number >= version)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition`, asked again after each change of this copy, holds."""
        if condition():
            return
        waiter = _Waiter(condition=condition, met=asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter.met
        finally:
            self._waiters.remove(waiter)

    async def refresh(self) -> None:
        """Return once a list that was asked for after this call has arrived.

        For the rare case that nobody knows whether a write has happened.
        """
        self._refresh_wanted += 1
        number = self._refresh_wanted
        if self._watching is not None:
            self._watching.reschedule(asyncio.get_running_loop().time())  # ends the watch now
        await self.wait_until(lambda: self._refresh_done >= number)

    # Setting up

    def add_index(self, name: str, keys_of: Callable[[Object], Iterable[str]]) -> None:
        """Keep an index of the objects by the values that `keys_of` yields. The same name adds once."""
        if name in self._indexers:
            return
        self._indexers[name] = keys_of
        index = self._indexes[name] = {}
        for key, obj in self._objects.items():
            _index_add(index, keys_of(obj), key, obj)

    def subscribe(self, handler: Handler) -> None:
        """Call `handler` with every delta from now on, in order, in the event loop.

        What is already here is delivered at once as additions. Handlers must be quick and must not raise.
        """
        for obj in list(self._objects.values()):
            self._call(handler, Delta(old=None, new=obj))
        self._handlers.append(handler)

    # Running

    async def run(self) -> None:
        """List and watch until cancelled. Errors are logged and retried with a jittered back-off."""
        failures = 0
        while True:
            before = self._version
            started_s = self._clock.monotonic_s()
            backoff = REFUSED_BACKOFF
            try:
                if not self._version or self._refresh_done < self._refresh_wanted:
                    await self._relist()
                await self._watch()
                if self._refresh_done < self._refresh_wanted:
                    continue
                if self._version != before or self._clock.monotonic_s() - started_s > WATCH_SHORT_S:
                    failures = 0
                    continue
                failures += 1  # a server that ends watches at once must not be asked in a tight loop
            except Gone:
                self._version = ""  # too old to resume: list again
                failures += 1
            except (ApiError, ConnectionError, TimeoutError, OSError) as error:
                failures = 1 if self._version != before else failures + 1
                if not isinstance(error, ApiError):
                    backoff = UNREACHABLE_BACKOFF
                self._log_failure(error, failures)
            await self._clock.sleep(backoff.delay_s(failures) * random.uniform(0.5, 1.5))

    def _log_failure(self, error: Exception, failures: int) -> None:
        # A process has many informers, and they all fail together: not a line for each try of each.
        write = _log.warning if failures in LOGGED_FAILURES else _log.debug
        write(
            "list or watch failed", resource=self.resource.group_plural, failures=failures, error=repr(error)
        )

    async def _relist(self) -> None:
        refresh = self._refresh_wanted
        answer = await self._client.list(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        items: Objects = answer.get("items") or []
        self._replace(items)
        self._refresh_done = refresh
        self._advance(str(answer["metadata"]["resourceVersion"]))
        self._synced.set()

    async def _watch(self) -> None:
        timeout_s = int(WATCH_TIMEOUT_S_MIN * random.uniform(1, 2))
        events = self._client.watch(
            self.resource,
            self._namespace,
            resource_version=self._version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_s=timeout_s,
        )
        try:
            async with asyncio.timeout(timeout_s + WATCH_SILENCE_S) as self._watching:
                async for event in events:
                    self._take(event)
        except TimeoutError:
            if self._refresh_done == self._refresh_wanted:
                raise
        finally:
            self._watching = None
            if isinstance(events, AsyncGenerator):
                await events.aclose()  # give the connection back now, not when the garbage is collected

    def _take(self, event: WatchEvent) -> None:
        obj = event.object
        if event.type != "BOOKMARK":
            key = meta.key(obj)
            if event.type == "DELETED":
                old = self._objects.get(key)
                if old is not None:
                    self._remove(key)
                    self._emit(Delta(old=self._trimmed(obj), new=None))
            else:
                self._put(key, self._trimmed(obj))
        self._advance(str(obj["metadata"]["resourceVersion"]))

    def _replace(self, items: Iterable[Object]) -> None:
        """Make the copy equal to a fresh list, telling the subscribers what differs."""
        fresh: dict[str, Object] = {}
        for item in items:
            fresh[meta.key(item)] = self._trimmed(item)
        for key in [key for key in self._objects if key not in fresh]:
            old = self._remove(key)
            self._emit(Delta(old=old, new=None))
        for key, obj in fresh.items():
            known = self._objects.get(key)
            if known is None or known["metadata"].get("resourceVersion") != obj["metadata"].get(
                "resourceVersion"
            ):
                self._put(key, obj)

    def _trimmed(self, obj: Object) -> Object:
        obj["metadata"].pop("managedFields", None)
        # Items of a list come without these two, metadata with those of PartialObjectMetadata.
        if self._keep is not None:
            obj = self._keep(obj)
        if obj.get("kind") != self.resource.kind:
            obj = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
            return {"apiVersion": self.resource.api_version, "kind": self.resource.kind, **obj}
        return obj

    def _put(self, key: str, obj: Object) -> None:
        old = self._objects.get(key)
        if old is not None and old["metadata"].get("uid") != obj["metadata"].get("uid"):
            # Deleted and made anew between two looks: subscribers see both halves.
            self._remove(key)
            self._emit(Delta(old=old, new=None))
            old = None
        self._objects[key] = obj
        namespace = obj["metadata"].get("namespace")
        if namespace:
            self._by_namespace.setdefault(namespace, {})[key] = obj
        for name, keys_of in self._indexers.items():
            index, values = self._indexes[name], keys_of(obj)
            if old is not None:
                before = keys_of(old)
                if before != values:
                    _index_remove(index, before, key)
            _index_add(index, values, key, obj)
        self._emit(Delta(old=old, new=obj))

    def _remove(self, key: str) -> Object:
        old = self._objects.pop(key)
        namespace = old["metadata"].get("namespace")
        if namespace:
            _index_remove(self._by_namespace, (namespace,), key)
        for name, keys_of in self._indexers.items():
            _index_remove(self._indexes[name], keys_of(old), key)
        return old

    def _emit(self, delta: Delta) -> None:
        for handler in self._handlers:
            self._call(handler, delta)

    def _call(self, handler: Handler, delta: Delta) -> None:
        try:
            handler(delta)
        except Exception:
            # One subscriber's bug must not stop the others' view of the world.
            _log.exception("a subscriber failed", resource=self.resource.group_plural)

    def _advance(self, version: str) -> None:
        self._version = version
        if version.isdigit():
            self._version_number = max(self._version_number, int(version))
        for waiter in self._waiters:
            if not waiter.met.done() and waiter.condition():
                waiter.met.set_result(None)


def _index_add(index: dict[str, dict[str, Object]], values: Iterable[str], key: str, obj: Object) -> None:
    for value in values:
        index.setdefault(value, {})[key] = obj


def _index_remove(index: dict[str, dict[str, Object]], values: Iterable[str], key: str) -> None:
    for value in values:
        entries = index.get(value)
        if entries is not None:
            entries.pop(key, None)
            if not entries:
                del index[value]


class Informers:
    """The informers of one process: one for each (resource, namespace, selectors), whoever asks."""

    def __init__(self, client: Client, *, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or WallClock()
        self._informers: dict[tuple[str, str, str | None, str, str], Informer] = {}
        self._group: asyncio.TaskGroup | None = None

    def get(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Informer:
        """Return the shared informer, making it (and starting it, while `run` runs) when it is new."""
        name = (resource.group_plural, resource.version, namespace, label_selector, field_selector)
        informer = self._informers.get(name)
        if informer is None:
            informer = self._informers[name] = Informer(
                self._client,
                resource,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                clock=self._clock,
            )
            if self._group is not None:
                self._group.create_task(informer.run())
        return informer

    def find(self, resource: Resource) -> Informer | None:
        """Return the informer of a whole resource, if somebody has asked for it."""
        return self._informers.get((resource.group_plural, resource.version, None, "", ""))

    async def run(self) -> None:
        """Run all informers, those of now and those asked for later, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for informer in list(self._informers.values()):
                    group.create_task(informer.run())
                await asyncio.Event().wait()
            finally:
                self._group = None

    async def wait_synced(self) -> None:
        """Return once every informer asked for so far is synced."""
        for informer in list(self._informers.values()):
            await informer.wait_synced()
