"""What a controller is, and what runs it.

A controller file exports one `Controller`: the resources it watches, how a change maps to the keys to look
at, and `reconcile`, which makes the world agree with one key. The runner owns the rest: the caches, the
queue, one reconcile at a time for each key, retries with back-off, own-write tracking, counters.

    Watch(PODS, keys_of)   delta of a pod -> the keys (say, of its ReplicaSet) to be looked at
    reconcile(context, key) -> None, or seconds after which to look again

The runner guarantees: a key is never reconciled twice at once; every change is followed by a reconcile that
began after it; a reconcile begins only when the caches have been filled, and include all that earlier
reconciles of that key have written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from podium.base.backoff import Backoff
from podium.base.clock import Clock, WallClock
from podium.base.log import Log
from podium.base.metrics import Registry
from podium.client.client import Client
from podium.machinery import meta
from podium.machinery.errors import ApiError, Conflict, NotFound, Object
from podium.machinery.resource import Resource
from podium.runtime.events import Recorder
from podium.runtime.going import GoingNamespaces
from podium.runtime.informer import Delta, Informer, Informers
from podium.runtime.metrics import MetricSets, QueueMetrics
from podium.runtime.own_writes import OwnWrites, TrackedClient
from podium.runtime.workqueue import RETRY_BACKOFF, ShutDown, WorkQueue

_log = Log("podium.controller")

SLOW_CACHE_S = 30.0
NAMESPACE_RETRY_S = 5.0
"""When to look again at what was not asked for because its namespace goes: the cache may have been behind."""
AS_PROCESS = "-"
"""In the place of a service account: the controller works with the rights of the whole process."""


class Failed(Exception):
    """What a reconcile raises when something outside of the API did not work: look again, with back-off."""


class Caches:
    """The informers that one controller declared, by resource."""

    def __init__(self, informers: Mapping[str, Informer]) -> None:
        self._informers = informers

    def __getitem__(self, resource: Resource) -> Informer:
        return self._informers[resource.group_plural]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a reconcile may use."""

    client: Client
    """The controller's client; its writes are tracked."""
    caches: Caches
    recorder: Recorder
    clock: Clock
    queue: WorkQueue[str]
    """The controller's own queue, to have other keys looked at."""
    metrics: MetricSets = field(default_factory=lambda: MetricSets(Registry()))
    """Where controllers count what is theirs alone."""


def namespace_is_terminating(error: ApiError) -> bool:
    """Tell whether a create was refused because its namespace is being deleted."""
    causes = (error.details or {}).get("causes") or ()
    return error.code == 403 and any(cause.get("reason") == "NamespaceTerminating" for cause in causes)


KeysOf = Callable[[Delta, Caches], Iterable[str]]
IndexOf = Callable[[Object], Iterable[str]]
Reconcile = Callable[[Context, str], Awaitable[float | None]]


def own_key(delta: Delta, _caches: Caches) -> Iterable[str]:
    """The keys_of of a controller's own objects: the object's key."""
    return (meta.key(delta.object),)


def no_keys(_delta: Delta, _caches: Caches) -> Iterable[str]:
    """The keys_of of a resource that is only read."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A resource that a controller follows."""

    resource: Resource
    keys_of: KeysOf = no_keys
    namespace: str | None = None
    field_selector: str = ""
    """Follow only part of the resource; the controller must write to nothing outside of it."""
    indexes: Mapping[str, IndexOf] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """One controller, declared."""

    name: str
    """Upstream's name, as `--controllers` takes it: `deployment-controller`."""
    component: str = ""
    """The source of its events; defaults to the name."""
    service_account: str = ""
    """The account in kube-system whose role it works under; defaults to the name."""
    watches: tuple[Watch, ...]
    reconcile: Reconcile
    workers: int = 5
    retry: Backoff = RETRY_BACKOFF
    """How long a key waits that could not be reconciled."""
    on_start: Callable[[Context], None] | None = None
    """Called once, with full caches, before the first reconcile (to add keys that no object stands for)."""

    async def run(self, environment: Environment) -> None:
        """Run until cancelled."""
        await ControllerRun(self, environment).run()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a process gives to the controllers in it."""

    client: Client
    informers: Informers
    clock: Clock = field(default_factory=WallClock)
    metrics: QueueMetrics | None = None
    sets: MetricSets = field(default_factory=lambda: MetricSets(Registry()))
    workers: Mapping[str, int] = field(default_factory=dict)
    """How many keys a controller works on at once, by its name; who is not named decides itself."""
    collect_s: Mapping[str, float] = field(default_factory=dict)
    """How long a controller, by its name, collects changes of other objects than its own before it looks."""
    shutdown_s: float = 0.0
    """How long a reconcile may go on when the process is told to end."""
    client_for: Callable[[str], Client] | None = None
    """Return the client of a service account in kube-system; None: all use `client`."""

    def client_of(self, service_account: str) -> Client:
        if self.client_for is None or service_account == AS_PROCESS:
            return self.client
        return self.client_for(service_account)


class Runnable(Protocol):
    """A controller, or anything that runs like one."""

    @property
    def name(self) -> str: ...

    async def run(self, environment: Environment) -> None:
        """Run until cancelled."""
        ...


@dataclass(slots=True)
class Counters:
    """What a controller has done since it started."""

    reconciles: int = 0
    retries: int = 0
    failures: int = 0


class ControllerRun:
    """One running controller."""

    def __init__(self, controller: Controller, environment: Environment) -> None:
        self.controller = controller
        self.counters = Counters()
        self._clock = environment.clock
        self._shutdown_s = environment.shutdown_s
        self._workers = environment.workers.get(controller.name, controller.workers)
        self._sets = environment.sets
        self._collect_s = environment.collect_s.get(controller.name, 0.0)
        self._waiting: set[asyncio.Task[None]] = set()
        """The workers that only wait for the cache to show what they have written."""
        self._client = environment.client_of(controller.service_account or controller.name)
        self._informers: dict[str, Informer] = {}
        self.queue: WorkQueue[str] = WorkQueue(
            clock=self._clock,
            backoff=controller.retry,
            name=controller.name,
            metrics=environment.metrics,
        )
        self._caches = Caches(self._informers)
        self._is_going = GoingNamespaces(environment.informers)
        self._recorder = Recorder(
            self._client,
            component=controller.component or controller.name,
            clock=self._clock,
            is_going=self._is_going,
        )
        for watch in controller.watches:
            informer = environment.informers.get(
                watch.resource, namespace=watch.namespace, field_selector=watch.field_selector
            )
            self._informers[watch.resource.group_plural] = informer
            for name, index_of in watch.indexes.items():
                informer.add_index(name, index_of)

    async def run(self) -> None:
        """Follow, reconcile, record, until cancelled."""
        for watch in self.controller.watches:
            if watch.keys_of is not no_keys:
                self._informers[watch.resource.group_plural].subscribe(self._enqueuer(watch))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run())
            for informer in self._informers.values():
                await informer.wait_synced()
            if self.controller.on_start is not None:
                self.controller.on_start(self._context(self._client))
            group.create_task(self._run_workers())

    async def _run_workers(self) -> None:
        """Run the workers until cancelled; then let them finish what they are at, for a while."""
        workers = [asyncio.create_task(self._work()) for _ in range(self._workers)]
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
        except asyncio.CancelledError:
            self.queue.shut_down()
            for worker in self._waiting:
                worker.cancel()
            if self._shutdown_s > 0:
                _, late = await asyncio.wait(workers, timeout=self._shutdown_s)
                if late:
                    _log.warning("shutdown timeout reached", controller=self.controller.name, at=len(late))
            raise
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _enqueuer(self, watch: Watch) -> Callable[[Delta], None]:
        collect_s = 0.0 if watch.keys_of is own_key else self._collect_s

        def enqueue(delta: Delta) -> None:
            for key in watch.keys_of(delta, self._caches):
                self.queue.add_after(key, collect_s)

        return enqueue

    def _context(self, client: Client) -> Context:
        return Context(
            client=client,
            caches=self._caches,
            recorder=self._recorder,
            clock=self._clock,
            queue=self.queue,
            metrics=self._sets,
        )

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except ShutDown:
                return
            try:
                await self._reconcile(key)
            finally:
                self.queue.done(key)

    async def _reconcile(self, key: str) -> None:
        writes = OwnWrites(self._informers)
        self.counters.reconciles += 1
        try:
            client = TrackedClient(self._client, writes, self._is_going)
            again_s = await self.controller.reconcile(self._context(client), key)
        except Conflict as error:
            # Someone else wrote in between: look again. Everyday life, so not worth a warning.
            self.counters.retries += 1
            _log.debug("conflict", controller=self.controller.name, key=key, error=error.message)
            self.queue.add_rate_limited(key)
        except NotFound as error:
            # Gone in between; if that is what the cache says too, the next look ends it.
            self.counters.retries += 1
            _log.debug("gone", controller=self.controller.name, key=key, error=error.message)
            self.queue.add_rate_limited(key)
        except (ApiError, Failed, ConnectionError, TimeoutError, OSError) as error:
            if isinstance(error, ApiError) and namespace_is_terminating(error):
                # Nothing can be made there any more, and the object itself will go: no use in trying again.
                self.queue.forget(key)
            else:
                self.counters.failures += 1
                _log.warning("reconcile failed", controller=self.controller.name, key=key, error=repr(error))
                self.queue.add_rate_limited(key)
        except Exception:
            self.counters.failures += 1
            _log.exception("reconcile crashed", controller=self.controller.name, key=key)
            self.queue.add_rate_limited(key)
        else:
            self.queue.forget(key)
            if again_s is not None:
                self.queue.add_after(key, again_s)
        if writes.refused:
            self.queue.add_after(key, NAMESPACE_RETRY_S)
        if writes.any and not self.queue.is_shut_down:
            await self._until_visible(writes, key)

    async def _until_visible(self, writes: OwnWrites, key: str) -> None:
        """Hold `key` until the caches show what was written. There is no giving up: see the guarantees."""
        worker = asyncio.current_task()
        assert worker is not None
        self._waiting.add(worker)
        try:
            await self._visible(writes, key)
        finally:
            self._waiting.discard(worker)

    async def _visible(self, writes: OwnWrites, key: str) -> None:
        while True:
            try:
                async with asyncio.timeout(SLOW_CACHE_S):
                    await writes.visible()
                return
            except TimeoutError:
                _log.warning("the cache is slow to show a write", controller=self.controller.name, key=key)
