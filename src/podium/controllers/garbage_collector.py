"""The garbage collector: objects whose owners are gone go too.

It follows the metadata of every deletable resource that discovery shows, and keeps a graph: which objects
there are, and who names whom as owner. `plan` decides about one object from its owners as read live from the
server, never from the graph alone: the graph only says what is worth a look.

- background: an owner has gone; each dependent without another living owner is deleted.
- foreground: an owner has the finalizer foregroundDeletion; its dependents are deleted, and when the last
  one with blockOwnerDeletion has gone, the finalizer is removed.
- orphan: an owner has the finalizer orphan; its dependents lose the reference, then it loses the finalizer.

Upstream: pkg/controller/garbagecollector.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from podium.base.clock import Clock
from podium.base.log import Log
from podium.client.client import Client
from podium.controllers.figures import GarbageMetrics
from podium.machinery import meta
from podium.machinery.errors import ApiError, Conflict, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.apiextensions.customresourcedefinitions import CUSTOMRESOURCEDEFINITIONS
from podium.resources.apiregistration.apiservices import APISERVICES
from podium.runtime.controller import Environment
from podium.runtime.discovery import changes_what_is_served, discover
from podium.runtime.events import Recorder
from podium.runtime.informer import Delta, Informer
from podium.runtime.metadata import MetadataClient
from podium.runtime.workqueue import WorkQueue

_log = Log("podium.garbage_collector")

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
WORKERS = 20
SYNC_TIMEOUT_S = 30.0
REDISCOVERY_DELAY_S = 1.0
DISCOVERY_RETRY_S = 5.0
ABSENT_OWNERS_MAX = 500
_IGNORED = frozenset(("events", "events.events.k8s.io"))
"""Events come and go by themselves, and there are many."""
_NEEDED = frozenset(("delete", "list", "watch"))

Propagation = Literal["Background", "Foreground", "Orphan"]


class OwnerState(Enum):
    SOLID = "there, and staying"
    DANGLING = "gone"
    WAITING = "being deleted in the foreground, waiting for its dependents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What becomes of one dependent."""

    delete: Propagation | None = None
    drop_owners: tuple[str, ...] = ()
    """Uids of owners to take off its references."""


def plan(obj: Object, owners: Mapping[str, OwnerState], *, has_dependents: bool) -> Plan:
    """Decide about `obj`, from the state of each of its owners by uid."""
    by_state = {state: [uid for uid, found in owners.items() if found is state] for state in OwnerState}
    if not owners:
        return Plan()
    if by_state[OwnerState.SOLID]:
        return Plan(drop_owners=(*by_state[OwnerState.DANGLING], *by_state[OwnerState.WAITING]))
    finalizers = meta.finalizers(obj)
    if by_state[OwnerState.WAITING] and has_dependents:
        # The owner must not go before its dependents' dependents.
        return Plan(delete="Foreground")
    if ORPHAN in finalizers:
        return Plan(delete="Orphan")
    return Plan(delete="Foreground" if FOREGROUND in finalizers else "Background")


def slim(obj: Object) -> Object:
    """Return the part of an object's metadata that the graph needs."""
    kept = (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "ownerReferences",
        "finalizers",
        "deletionTimestamp",
    )
    metadata = obj["metadata"]
    return {"metadata": {name: metadata[name] for name in kept if name in metadata}}


def waits_for_dependents(obj: Object) -> bool:
    return meta.deleting(obj) and FOREGROUND in meta.finalizers(obj)


@dataclass(frozen=True, slots=True)
class _Node:
    resource: Resource
    obj: Object

    def is_meant(self, dependent: Object, reference: Object) -> bool:
        """Tell whether a reference to this object's uid also has its name, kind and namespace."""
        group, _ = meta.split_api_version(str(reference.get("apiVersion") or ""))
        return (
            (group, reference.get("kind"), reference.get("name"))
            == (self.resource.group, self.resource.kind, meta.name(self.obj))
        ) and (not self.resource.namespaced or meta.namespace(self.obj) == meta.namespace(dependent))


class Graph:
    """Who there is, and who depends on whom. Kept current by deltas; says which uids deserve a look."""

    def __init__(self) -> None:
        self.nodes: dict[str, _Node] = {}
        self._dependents: dict[str, set[str]] = {}

    def dependents(self, uid: str) -> list[_Node]:
        return [self.nodes[d] for d in sorted(self._dependents.get(uid, ())) if d in self.nodes]

    def take(self, resource: Resource, delta: Delta) -> Iterable[str]:
        """Follow one change; return the uids to look at."""
        uid = meta.uid(delta.object)
        known = self.nodes.get(uid)
        if known is not None and delta.new is not None:
            if known.resource.group_plural != resource.group_plural:
                return ()  # the same object under a second group (as Ingresses once were)
            if delta.old is not None and _bonds(delta.old) == _bonds(delta.new):
                self.nodes[uid] = _Node(resource, delta.new)  # as most changes: of no concern here
                return ()
        old_owners = _owner_uids(delta.old)
        if delta.new is None:
            self.nodes.pop(uid, None)
            self._link(uid, old_owners, set())
            # Dependents may be garbage now, and owners may have been waiting for this one.
            waiting = [o for o in old_owners if o in self.nodes and waits_for_dependents(self.nodes[o].obj)]
            return [*self._dependents.get(uid, ()), *waiting]
        owners = _owner_uids(delta.new)
        self.nodes[uid] = _Node(resource, delta.new)
        self._link(uid, old_owners, owners)
        look: list[str] = []
        if owners and (delta.old is None or owners != old_owners) and self._has_doubtful_owner(delta.new):
            look.append(uid)
        if meta.deleting(delta.new) and (delta.old is None or _stage(delta.old) != _stage(delta.new)):
            look.append(uid)
            if waits_for_dependents(delta.new):
                look += self._dependents.get(uid, ())
        # A dependent that blocks no more lets its owner go.
        if delta.old is not None and delta.old["metadata"].get("ownerReferences") != delta.new[
            "metadata"
        ].get("ownerReferences"):
            look += [o for o in old_owners if o in self.nodes and waits_for_dependents(self.nodes[o].obj)]
        return look

    def _has_doubtful_owner(self, obj: Object) -> bool:
        """An owner is not known, is not where the reference says, or waits for its dependents to go."""
        return any(self._is_doubtful(obj, reference) for reference in meta.owner_references(obj))

    def _is_doubtful(self, obj: Object, reference: Object) -> bool:
        owner = self.nodes.get(str(reference.get("uid")))
        return owner is None or not owner.is_meant(obj, reference) or waits_for_dependents(owner.obj)

    def blocking(self, uid: str) -> list[_Node]:
        """Return the dependents without whose end the owner with `uid` may not go.

        Those that wait for the owner themselves do not count, else nobody in a circle would ever go. Neither
        do references to an owner that is elsewhere: their objects may never be collected.
        """
        return [node for node in self._blocking(uid) if not self._waits_for(node, uid)]

    def _blocking(self, uid: str) -> list[_Node]:
        owner = self.nodes.get(uid)
        return [
            node
            for node in self.dependents(uid)
            if any(
                r.get("uid") == uid
                and r.get("blockOwnerDeletion")
                and (owner is None or owner.is_meant(node.obj, r))
                for r in meta.owner_references(node.obj)
            )
        ]

    def _waits_for(self, node: _Node, uid: str) -> bool:
        """Tell whether `node` waits, by way of others that wait, for the object with `uid`."""
        seen: set[str] = set()
        left = [node]
        while left:
            current = left.pop()
            if not waits_for_dependents(current.obj):
                continue
            if meta.uid(current.obj) == uid:
                return True
            if meta.uid(current.obj) not in seen:
                seen.add(meta.uid(current.obj))
                left += self._blocking(meta.uid(current.obj))
        return False

    def doubtful(self) -> list[str]:
        """Return all uids that deserve a look as things stand, once everything has been listed."""
        return [
            uid
            for uid, node in self.nodes.items()
            if self._has_doubtful_owner(node.obj) or any(_stage(node.obj)[1:])
        ]

    def _link(self, uid: str, old: set[str], new: set[str]) -> None:
        for owner in old - new:
            dependents = self._dependents.get(owner)
            if dependents is not None:
                dependents.discard(uid)
                if not dependents:
                    del self._dependents[owner]
        for owner in new:
            self._dependents.setdefault(owner, set()).add(uid)


def _bonds(obj: Object) -> tuple[object, ...]:
    """Return all that the graph looks at."""
    metadata = obj["metadata"]
    return (
        metadata.get("ownerReferences"),
        metadata.get("deletionTimestamp"),
        metadata.get("finalizers"),
    )


def _owner_uids(obj: Object | None) -> set[str]:
    return {str(r.get("uid")) for r in meta.owner_references(obj)} if obj is not None else set()


def _stage(obj: Object) -> tuple[bool, bool, bool]:
    finalizers = meta.finalizers(obj)
    return meta.deleting(obj), FOREGROUND in finalizers, ORPHAN in finalizers


class GarbageCollector:
    """The controller. It does not fit the common runner: what it watches changes while it runs."""

    name = "garbage-collector-controller"

    async def run(self, environment: Environment) -> None:
        """Run until cancelled."""
        await _Run(environment).run()


class _Run:
    def __init__(self, environment: Environment) -> None:
        self._client: Client = environment.client_of("generic-garbage-collector")
        self._reader = environment.client
        self._metadata = MetadataClient(environment.client)
        self._clock: Clock = environment.clock
        self._environment = environment
        self._graph = Graph()
        self._queue: WorkQueue[str] = WorkQueue(
            clock=environment.clock, name="garbage-collector", metrics=environment.metrics
        )
        self._informers: dict[str, tuple[Informer, asyncio.Task[None] | None]] = {}
        self._by_kind: dict[tuple[str, str], Resource] = {}
        self._absent: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._recorder = Recorder(self._client, component="garbage-collector-controller", clock=self._clock)
        self._served_changed = asyncio.Event()
        self._complete = False

    async def run(self) -> None:
        for resource in (CUSTOMRESOURCEDEFINITIONS, APISERVICES):
            self._environment.informers.get(resource).subscribe(self._on_served_change)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recorder.run())
            await self._discover(group)
            await self._wait_synced()
            self._complete = True
            for uid in self._graph.doubtful():
                self._queue.add(uid)
            for _ in range(self._environment.workers.get(GarbageCollector.name, WORKERS)):
                group.create_task(self._work())
            while True:
                await self._served_changed.wait()
                await self._clock.sleep(
                    REDISCOVERY_DELAY_S
                )  # until the API server serves it, and others like it
                self._served_changed.clear()
                await self._discover(group)

    def _on_served_change(self, delta: Delta) -> None:
        if changes_what_is_served(delta):
            self._served_changed.set()

    async def _discover(self, group: asyncio.TaskGroup) -> None:
        """Follow what is served now, and no more what is not."""
        while True:
            try:
                resources = await discover(self._reader)
                break
            except (ApiError, ConnectionError, TimeoutError, OSError) as error:
                self._environment.sets.of(GarbageMetrics).sync_errors.inc()
                _log.warning("discovery failed", error=repr(error))
                await self._clock.sleep(DISCOVERY_RETRY_S)
        self._by_kind = {(r.group, r.kind): r for r in reversed(resources)}
        wanted = {
            r.group_plural: r for r in resources if set(r.verbs) >= _NEEDED and r.group_plural not in _IGNORED
        }
        for name in [name for name in self._informers if name not in wanted]:
            informer, task = self._informers.pop(name)
            if task is not None:
                task.cancel()
            for obj in informer.list():
                self._take(informer.resource, Delta(old=obj, new=None))
        for name, resource in wanted.items():
            if name not in self._informers:
                self._follow(group, name, resource)

    def _follow(self, group: asyncio.TaskGroup, name: str, resource: Resource) -> None:
        """Use the cache that another controller keeps of this resource, or else keep one of metadata."""
        shared = self._environment.informers.find(resource)
        task: asyncio.Task[None] | None = None
        if shared is not None:
            informer = shared
        else:
            informer = Informer(self._metadata, resource, clock=self._clock, keep=slim)
            task = group.create_task(informer.run(), name=f"garbage-collector {name}")
        informer.subscribe(lambda delta: self._take(resource, delta))
        self._informers[name] = (informer, task)

    async def _wait_synced(self) -> None:
        """Wait for the whole graph, but not for ever for resources that cannot be listed."""
        try:
            async with asyncio.timeout(SYNC_TIMEOUT_S):
                for informer, _ in list(self._informers.values()):
                    await informer.wait_synced()
        except TimeoutError:
            missing = [name for name, (informer, _) in self._informers.items() if not informer.synced]
            _log.warning("some resources cannot be listed; their objects are not collected", missing=missing)

    def _take(self, resource: Resource, delta: Delta) -> None:
        looks = self._graph.take(resource, delta)
        if self._complete:  # before that owners seem absent only because they are not listed yet
            for uid in looks:
                self._queue.add(uid)

    async def _work(self) -> None:
        while True:
            uid = await self._queue.get()
            try:
                await self._process(uid)
            except (Conflict, NotFound) as error:
                _log.debug("will look again", uid=uid, error=error.message)
                self._queue.add_rate_limited(uid)
            except (ApiError, ConnectionError, TimeoutError, OSError) as error:
                _log.warning("not collected", uid=uid, error=repr(error))
                self._queue.add_rate_limited(uid)
            except Exception:
                _log.exception("not collected", uid=uid)
                self._queue.add_rate_limited(uid)
            else:
                self._queue.forget(uid)
            finally:
                self._queue.done(uid)

    async def _process(self, uid: str) -> None:
        node = self._graph.nodes.get(uid)
        if node is None:
            return
        if meta.deleting(node.obj):
            if ORPHAN in meta.finalizers(node.obj):
                await self._orphan_dependents(node)
            elif FOREGROUND in meta.finalizers(node.obj):
                await self._foreground(node)
            return
        if not meta.owner_references(node.obj):
            return
        live = await self._live(node.resource, meta.name(node.obj), meta.namespace(node.obj))
        if live is None or meta.uid(live) != uid or meta.deleting(live):
            return  # the graph will learn of it
        owners: dict[str, OwnerState] = {}
        for reference in meta.owner_references(live):
            state = await self._owner_state(live, reference)
            if owners.get(str(reference["uid"])) is not OwnerState.SOLID:  # named twice: the better counts
                owners[str(reference["uid"])] = state
        decided = plan(live, owners, has_dependents=bool(self._graph.dependents(uid)))
        if decided.delete == "Foreground":
            await self._unblock_circle(node)
        if decided.delete is not None:
            _log.info("deleting", resource=node.resource.group_plural, key=meta.key(live), how=decided.delete)
            await self._delete(node.resource, live, decided.delete)
        elif decided.drop_owners:
            await self._drop_owners(node.resource, live, decided.drop_owners)

    async def _live(self, resource: Resource, name: str, namespace: str) -> Object | None:
        try:
            return await self._client.get(resource, name, namespace or None)
        except NotFound:
            return None

    async def _owner_state(self, dependent: Object, reference: Object) -> OwnerState:
        """Ask the server about one owner. Owners of unknown kinds count as there: never delete on a guess."""
        uid = str(reference["uid"])
        group, _ = meta.split_api_version(str(reference.get("apiVersion") or ""))
        resource = self._by_kind.get((group, str(reference.get("kind"))))
        if resource is None:
            return OwnerState.SOLID
        namespace = meta.namespace(dependent)
        if resource.namespaced and not namespace:
            self._tell_of_namespace(dependent, reference)
            return OwnerState.SOLID
        if (uid, namespace) in self._absent:
            return OwnerState.DANGLING
        owner = await self._live(resource, str(reference["name"]), namespace if resource.namespaced else "")
        if owner is None or meta.uid(owner) != uid:
            self._absent[uid, namespace] = None
            while len(self._absent) > ABSENT_OWNERS_MAX:
                self._absent.popitem(last=False)
            known = self._graph.nodes.get(uid)
            if known is not None and known.resource.namespaced and meta.namespace(known.obj) != namespace:
                self._tell_of_namespace(dependent, reference)
            return OwnerState.DANGLING
        return OwnerState.WAITING if waits_for_dependents(owner) else OwnerState.SOLID

    def _tell_of_namespace(self, dependent: Object, reference: Object) -> None:
        """Say on a dependent that its owner is not where owners of it can be."""
        namespace = meta.namespace(dependent)
        kind = f"{reference.get('apiVersion')}/{reference.get('kind')}"
        message = (
            f"ownerRef [{kind}, namespace: {namespace}, name: {reference.get('name')}, "
            f'uid: {reference.get("uid")}] does not exist in namespace "{namespace}"'
        )
        self._recorder.event(dependent, "Warning", "OwnerRefInvalidNamespace", message)

    async def _delete(self, resource: Resource, obj: Object, propagation: Propagation) -> None:
        """Delete `obj`, as it was read just now. Raises Conflict when its owners have changed since."""
        version = meta.metadata(obj).get("resourceVersion")
        try:
            await self._delete_as_read(resource, obj, propagation, version)
        except Conflict:
            live = await self._live(resource, meta.name(obj), meta.namespace(obj))
            if live is None:
                return
            if meta.uid(live) != meta.uid(obj) or meta.owner_references(live) != meta.owner_references(obj):
                raise
            # Something else of it is written over and over: that must not keep it for ever.
            await self._delete_as_read(resource, obj, propagation, None)

    async def _delete_as_read(
        self, resource: Resource, obj: Object, propagation: Propagation, version: str | None
    ) -> None:
        try:
            await self._client.delete(
                resource,
                meta.name(obj),
                meta.namespace(obj) or None,
                propagation=propagation,
                uid=meta.uid(obj),
                resource_version=version,
            )
        except NotFound:
            return

    async def _drop_owners(self, resource: Resource, obj: Object, uids: Sequence[str]) -> None:
        """Take owners off the references of `obj`, as it was read just now."""
        left = [r for r in meta.owner_references(obj) if r.get("uid") not in uids]
        await self._patch(resource, obj, {"ownerReferences": left or None})

    async def _patch(self, resource: Resource, obj: Object, metadata: Object) -> None:
        guards = {"uid": meta.uid(obj), "resourceVersion": meta.metadata(obj).get("resourceVersion")}
        patch = {"metadata": {**metadata, **guards}}
        try:
            await self._client.patch(resource, meta.name(obj), patch, meta.namespace(obj) or None)
        except NotFound:
            return

    async def _unblock_circle(self, node: _Node) -> None:
        """Objects that own each other would wait for each other for ever: stop blocking those that wait."""
        if not any(waits_for_dependents(d.obj) for d in self._graph.dependents(meta.uid(node.obj))):
            return
        live = await self._live(node.resource, meta.name(node.obj), meta.namespace(node.obj))
        if live is None or not any(r.get("blockOwnerDeletion") for r in meta.owner_references(live)):
            return
        references = [{**r, "blockOwnerDeletion": False} for r in meta.owner_references(live)]
        await self._patch(node.resource, live, {"ownerReferences": references})
        raise Conflict("references have changed; look again")

    async def _foreground(self, node: _Node) -> None:
        blocking = self._graph.blocking(meta.uid(node.obj))
        if not blocking:
            await self._remove_finalizer(node, FOREGROUND)
            return
        for dependent in blocking:
            if not waits_for_dependents(dependent.obj):
                self._queue.add(meta.uid(dependent.obj))

    async def _orphan_dependents(self, node: _Node) -> None:
        uid = meta.uid(node.obj)
        for dependent in self._graph.dependents(uid):
            obj = dependent.obj
            live = await self._live(dependent.resource, meta.name(obj), meta.namespace(obj))
            if live is not None and any(r.get("uid") == uid for r in meta.owner_references(live)):
                await self._drop_owners(dependent.resource, live, (uid,))
        await self._remove_finalizer(node, ORPHAN)

    async def _remove_finalizer(self, node: _Node, finalizer: str) -> None:
        live = await self._live(node.resource, meta.name(node.obj), meta.namespace(node.obj))
        if live is None or meta.uid(live) != meta.uid(node.obj) or finalizer not in meta.finalizers(live):
            return
        left = [name for name in meta.finalizers(live) if name != finalizer]
        await self._patch(node.resource, live, {"finalizers": left or None})


GARBAGE_COLLECTOR = GarbageCollector()
