"""An API server and a clock in memory, for tests of what stands on the runtime.

`FakeApi` is one object store with resource versions, watches, finalizers, generateName and uid and version
preconditions; `FakeApi.client()` gives a `Client` on it. Tests may hold back watch events (a stale cache),
break watches off, compact (410), and make the next writes fail.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import orjson

from podium.base.http.message import Headers
from podium.base.ids import new_uid, random_suffix
from podium.client.client import Client, PatchType, WatchEvent
from podium.machinery import labels as selectors
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, ApiError, Conflict, Expired, Json, NotFound, Object
from podium.machinery.resource import Resource

START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """A clock that stands still until told to go on."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._sequence = 0

    def now(self) -> datetime:
        return START + timedelta(seconds=self._now_s)

    def monotonic_s(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._sequence += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now_s + seconds, self._sequence, future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, waking sleepers in order and letting everyone act in between."""
        end_s = self._now_s + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._now_s = max(self._now_s, due_s)
                future.set_result(None)
                await settle()
        self._now_s = end_s


async def settle(turns: int = 60) -> None:
    """Let every task that can run do so."""
    for _ in range(turns):
        await asyncio.sleep(0)


class FakeApi:
    """The store and its behaviour."""

    clock: FakeClock

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.objects: dict[str, dict[str, Object]] = {}
        self.revision = 100
        self.compacted = 0
        self.log: list[tuple[int, str, str, Object]] = []
        self.held: dict[str, int] = {}
        """Resources whose watchers see nothing after this revision."""
        self.changed = asyncio.Event()
        self.served: Sequence[Resource] = ()
        """What discovery shows."""
        self.stale: Sequence[tuple[str, str]] = ()
        """Groups and versions of other servers that have not been heard of."""
        self.answers: dict[str, tuple[int, Object]] = {}
        """What GETs of these paths are answered: status and body."""
        self.epoch = 0
        self.lists = 0
        self.fail: Callable[[str, Resource, Object], Exception | None] = lambda verb, resource, obj: None
        """Asked before each write (verb, resource, object): an exception to raise instead of writing."""
        self.fail_after: Callable[[str, Resource, Object], Exception | None] = lambda verb, resource, obj: (
            None
        )
        """Asked after each write: an exception to raise although it was done."""
        self.writes: list[tuple[str, str, str]] = []
        self.on_write: Callable[[str, Resource, Object], None] = lambda verb, resource, obj: None
        """Told of each write of a client once it is done, for invariants."""
        self.new_uid: Callable[[], str] = new_uid
        self.new_suffix: Callable[[], str] = random_suffix
        """Of generated names."""

    def client(self) -> FakeClient:
        return FakeClient(self)

    def table(self, resource: Resource) -> dict[str, Object]:
        return self.objects.setdefault(resource.group_plural, {})

    def get(self, resource: Resource, key: str) -> Object | None:
        return self.table(resource).get(key)

    def all(self, resource: Resource) -> list[Object]:
        return list(self.table(resource).values())

    def _notify(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def record(self, resource: Resource, type: str, obj: Object) -> None:
        self.log.append((self.revision, resource.group_plural, type, obj))
        self._notify()

    def hold(self, resource: Resource) -> None:
        """Let watchers of `resource` see nothing from now on."""
        self.held[resource.group_plural] = self.revision

    def release(self, resource: Resource) -> None:
        self.held.pop(resource.group_plural, None)
        self._notify()

    def break_watches(self) -> None:
        self.epoch += 1
        self._notify()

    def compact(self) -> None:
        self.compacted = self.revision

    # Direct writes, as another user's

    def put(self, resource: Resource, obj: Object) -> Object:
        """Store `obj` as it is (status included), with metadata as the server sets it."""
        stored: Object = meta.deep_copy(obj)
        md = stored.setdefault("metadata", {})
        if resource.namespaced:
            md.setdefault("namespace", "default")
        if "name" not in md:
            # As the server does, which tries again: of a thousand suffixes two are alike now and then.
            while "name" not in md or meta.key(stored) in self.table(resource):
                md["name"] = md["generateName"] + self.new_suffix()
        old = self.table(resource).get(meta.key(stored))
        self.revision += 1
        md["resourceVersion"] = str(self.revision)
        if old is None:
            md.setdefault("uid", self.new_uid())
            md.setdefault("creationTimestamp", self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"))
            md.setdefault("generation", 1)
        else:
            md["uid"] = old["metadata"]["uid"]
            md.setdefault("creationTimestamp", old["metadata"].get("creationTimestamp"))
            changed = old.get("spec") != stored.get("spec")
            md["generation"] = old["metadata"].get("generation", 1) + (1 if changed else 0)
        if (
            md.get("deletionTimestamp")
            and not md.get("finalizers")
            and not md.get("deletionGracePeriodSeconds")
        ):
            return self.remove(resource, meta.key(stored))
        self.table(resource)[meta.key(stored)] = stored
        self.record(resource, "ADDED" if old is None else "MODIFIED", stored)
        return stored

    def change(self, resource: Resource, key: str, change: Callable[[Object], None]) -> Object:
        obj = meta.deep_copy(self.table(resource)[key])
        change(obj)
        return self.put(resource, obj)

    def remove(self, resource: Resource, key: str) -> Object:
        gone = dict(self.table(resource).pop(key))
        self.revision += 1
        gone["metadata"] = {**gone["metadata"], "resourceVersion": str(self.revision)}
        self.record(resource, "DELETED", gone)
        return gone


def _field_matches(obj: Object, selector: str) -> bool:
    path, _, value = selector.partition("=")
    return not selector or str(meta.dig(obj, *path.split("."), default="")) == value


def _sent(obj: Object) -> Object:
    return dict(meta.deep_copy(obj))


def _lists_merged(old: Object, patch: Object) -> Object:
    """Return a strategic merge patch as a plain one: finalizers and conditions are merged by key."""
    result = _sent(patch)
    metadata = result.get("metadata") or {}
    gone = metadata.pop("$deleteFromPrimitiveList/finalizers", ())
    if gone or "finalizers" in metadata:
        kept = [*meta.finalizers(old), *(metadata.get("finalizers") or ())]
        metadata["finalizers"] = [f for f in dict.fromkeys(kept) if f not in gone]
    if conditions := (result.get("status") or {}).get("conditions"):
        before = {c["type"]: c for c in (old.get("status") or {}).get("conditions") or ()}
        merged = {**before, **{c["type"]: {**before.get(c["type"], {}), **c} for c in conditions}}
        result["status"]["conditions"] = list(merged.values())
    return result


def merge(target: Json, patch: Json) -> Json:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


class _Response:
    """An answer of the fake transport."""

    def __init__(self, status: int, body: AsyncIterator[bytes]) -> None:
        self.status = status
        self.headers = Headers()
        self._body = body

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self._body])

    def chunks(self) -> AsyncIterator[bytes]:
        return self._body


class _FakeTransport:
    """Discovery, lists and watches over HTTP's form, for those who look below `Client`'s verbs."""

    def __init__(self, client: FakeClient) -> None:
        self._client = client

    @asynccontextmanager
    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[_Response]:
        assert method == "GET", f"the fake transport only reads: {method} {target}"
        path, _, query = target.partition("?")
        parameters = dict(parse_qsl(query))
        if path in ("/api", "/apis"):
            yield _Response(200, _chunks(orjson.dumps(self._discovery(core=path == "/api"))))
            return
        if path in self._client.api.answers:
            status, answer = self._client.api.answers[path]
            yield _Response(status, _chunks(orjson.dumps(answer)))
            return
        resource, namespace = self._find(path)
        if resource is None:
            yield _Response(404, _chunks(orjson.dumps(NotFound("not served").status())))
            return
        if parameters.get("watch"):
            version = parameters["resourceVersion"]
            async with aclosing(self._client.watch(resource, namespace, resource_version=version)) as events:  # type: ignore[type-var]
                yield _Response(200, _lines(events))
            return
        yield _Response(200, _chunks(orjson.dumps(await self._client.list(resource, namespace))))

    async def close(self) -> None: ...

    def _find(self, path: str) -> tuple[Resource | None, str | None]:
        for resource in self._client.api.served:
            head, _, rest = path.partition("/namespaces/")
            if rest.endswith(f"/{resource.plural}") and head == resource.group_version_path:
                return resource, rest.split("/")[0]
            if path == resource.path():
                return resource, None
        return None, None

    def _discovery(self, *, core: bool) -> Object:
        groups: dict[str, Object] = {}
        for resource in self._client.api.served:
            if (resource.group == "") is not core:
                continue
            group = groups.setdefault(
                resource.group,
                {
                    "metadata": {"name": resource.group},
                    "versions": [{"version": resource.version, "resources": [], "freshness": "Current"}],
                },
            )
            group["versions"][0]["resources"].append(
                {
                    "resource": resource.plural,
                    "responseKind": {"kind": resource.kind},
                    "scope": "Namespaced" if resource.namespaced else "Cluster",
                    "verbs": list(resource.verbs),
                }
            )
        items = list(groups.values())
        if not core:
            items += [
                {"metadata": {"name": group}, "versions": [{"version": version, "freshness": "Stale"}]}
                for group, version in self._client.api.stale
            ]
        return {"kind": "APIGroupDiscoveryList", "items": items}


async def _chunks(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _lines(events: AsyncIterator[WatchEvent]) -> AsyncIterator[bytes]:
    async for event in events:
        yield orjson.dumps({"type": event.type, "object": event.object}) + b"\n"


class FakeClient(Client):
    """The verbs, on a FakeApi."""

    def __init__(self, api: FakeApi) -> None:
        super().__init__(_FakeTransport(self))
        self.api = api

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        await asyncio.sleep(0)
        found = self.api.get(resource, f"{namespace}/{name}" if namespace else name)
        if found is None:
            raise NotFound.of(resource.plural, resource.group, name)
        return _sent(found)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = 0,
    ) -> Object:
        await asyncio.sleep(0)
        self.api.lists += 1
        selector = selectors.parse(label_selector)
        items = [
            {k: v for k, v in _sent(obj).items() if k not in ("apiVersion", "kind")}
            for obj in self.api.all(resource)
            if (namespace is None or meta.namespace(obj) == namespace)
            and selector.matches(meta.labels(obj))
            and _field_matches(obj, field_selector)
        ]
        return {
            "kind": resource.list_kind,
            "apiVersion": resource.api_version,
            "metadata": {"resourceVersion": str(self.api.revision)},
            "items": items,
        }

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
        api = self.api
        after = int(resource_version)
        epoch = api.epoch
        position = 0
        await asyncio.sleep(0)
        if after < api.compacted:
            raise Expired(f"too old resource version: {after} ({api.compacted})")
        while True:
            changed = api.changed
            held = api.held.get(resource.group_plural)
            while position < len(api.log):
                revision, plural, type, obj = api.log[position]
                if held is not None and revision > held:
                    break
                position += 1
                if revision <= after or plural != resource.group_plural:
                    continue
                if (namespace is None or meta.namespace(obj) == namespace) and _field_matches(
                    obj, field_selector
                ):
                    yield WatchEvent(type=type, object=_sent(obj))
                    if epoch != api.epoch:
                        raise ConnectionError("the watch was broken off")
            if epoch != api.epoch:
                raise ConnectionError("the watch was broken off")
            await changed.wait()

    def _before(self, verb: str, resource: Resource, obj: Object) -> None:
        error = self.api.fail(verb, resource, obj)
        if error is not None:
            raise error
        self.api.writes.append(
            (verb, resource.group_plural, meta.name(obj) or meta.metadata(obj).get("generateName", ""))
        )

    def _after(self, verb: str, resource: Resource, obj: Object) -> None:
        self.api.on_write(verb, resource, obj)
        error = self.api.fail_after(verb, resource, obj)
        if error is not None:
            raise error

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Object:
        await asyncio.sleep(0)
        self._before("create", resource, obj)
        obj = _sent(obj)
        if resource.namespaced:
            obj["metadata"]["namespace"] = namespace or meta.namespace(obj) or "default"
        if meta.name(obj) and self.api.get(resource, meta.key(obj)) is not None:
            raise AlreadyExists.of(resource.plural, resource.group, meta.name(obj))
        if resource.status:
            obj["status"] = {"phase": "Pending"} if resource.kind == "Pod" else {}
        created = self.api.put(resource, {"apiVersion": resource.api_version, "kind": resource.kind, **obj})
        self._after("create", resource, created)
        return _sent(created)

    def _store(self, resource: Resource, old: Object, new: Object, subresource: str) -> Object:
        version = meta.metadata(new).get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise Conflict.of(resource.plural, resource.group, meta.name(new), "the object has been modified")
        if subresource == "finalize":
            if not (new.get("spec") or {}).get("finalizers"):
                return self.api.remove(resource, meta.key(new))
        elif resource.status:
            if subresource in ("status", "approval"):
                new = {**new, "spec": old.get("spec")}
            else:
                new = {**new, "status": old.get("status")}
        if {**new, "metadata": {**new["metadata"], "resourceVersion": ""}} == {
            **old,
            "metadata": {**old["metadata"], "resourceVersion": ""},
        }:
            return old
        for part in (
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
        ):
            if part in old["metadata"]:
                new["metadata"][part] = old["metadata"][part]
        return self.api.put(resource, new)

    async def update(self, resource: Resource, obj: Object, *, subresource: str = "") -> Object:
        await asyncio.sleep(0)
        self._before("update", resource, obj)
        old = self.api.get(resource, meta.key(obj))
        if old is None:
            raise NotFound.of(resource.plural, resource.group, meta.name(obj))
        stored = self._store(resource, old, _sent(obj), subresource)
        self._after("update", resource, stored)
        return _sent(stored)

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
        await asyncio.sleep(0)
        key = f"{namespace}/{name}" if namespace else name
        self._before("patch", resource, {"metadata": {"name": name, "namespace": namespace}})
        old = self.api.get(resource, key)
        if old is None:
            raise NotFound.of(resource.plural, resource.group, name)
        wanted_uid = patch.get("metadata", {}).get("uid")
        if wanted_uid and wanted_uid != meta.uid(old):
            raise Conflict.of(
                resource.plural, resource.group, name, "Precondition failed: UID in precondition"
            )
        sent = _lists_merged(_sent(old), _sent(patch)) if type == "strategic" else _sent(patch)
        stored = self._store(resource, old, merge(_sent(old), sent), subresource)
        self._after("patch", resource, stored)
        return _sent(stored)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_s: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        await asyncio.sleep(0)
        key = f"{namespace}/{name}" if namespace else name
        self._before("delete", resource, {"metadata": {"name": name, "namespace": namespace}})
        old = self.api.get(resource, key)
        if old is None:
            raise NotFound.of(resource.plural, resource.group, name)
        if uid and uid != meta.uid(old):
            raise Conflict.of(resource.plural, resource.group, name, "the UID in the precondition differs")
        if resource_version and resource_version != meta.metadata(old)["resourceVersion"]:
            raise Conflict.of(
                resource.plural, resource.group, name, "the version in the precondition differs"
            )
        graceful = (
            resource.kind == "Pod"
            and old.get("spec", {}).get("nodeName")
            and (old.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
            and grace_period_s != 0
        )
        finalizers = list(meta.finalizers(old))
        if propagation == "Foreground":
            finalizers.append("foregroundDeletion")
        elif propagation == "Orphan":
            finalizers.append("orphan")
        if finalizers or graceful:
            marked = _sent(old)
            marked["metadata"]["finalizers"] = list(dict.fromkeys(finalizers))
            if "deletionTimestamp" not in marked["metadata"]:
                marked["metadata"]["deletionTimestamp"] = self.api.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
                if graceful:
                    marked["metadata"]["deletionGracePeriodSeconds"] = 30
                stored = self.api.put(resource, marked)
                self._after("delete", resource, stored)
                return _sent(stored)
            return _sent(old)
        self.api.remove(resource, key)
        self._after("delete", resource, old)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation: str | None = None,
    ) -> Object:
        for obj in self.api.all(resource):
            if namespace is None or meta.namespace(obj) == namespace:
                await self.delete(resource, meta.name(obj), namespace)
        return {}

    async def close(self) -> None: ...


def api_error(code: int) -> ApiError:
    """Return an error of this status, for `FakeApi.fail`."""
    error = type(f"Error{code}", (ApiError,), {"code": code, "reason": ""})("made to fail")
    assert isinstance(error, ApiError)
    return error
