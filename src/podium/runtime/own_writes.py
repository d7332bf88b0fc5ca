"""Own-write tracking: a controller never decides on a cache that lacks what it has itself written.

While one key is being reconciled, its writes go through a `TrackedClient`, which remembers the
resourceVersion that each write returned, and each deletion. Before the key may be looked at again the
runner waits until the caches have caught up (`OwnWrites.visible`). Upstream guards against double creation
with counted expectations that lapse after five minutes; versions need neither counting nor lapsing.

A write whose answer was lost may or may not have happened: then the cache is listed anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from podium.client.client import Client, PatchType, WatchEvent
from podium.machinery.errors import ApiError, Json, NotFound, Object
from podium.machinery.resource import Resource
from podium.runtime.going import namespace_terminating
from podium.runtime.informer import Informer


class OwnWrites:
    """What one reconcile has written to the resources that its controller watches."""

    def __init__(self, informers: Mapping[str, Informer]) -> None:
        self._informers = informers
        self._versions: dict[str, int] = {}
        self._deletions: list[tuple[Informer, str, str]] = []
        self._uncertain: dict[str, None] = {}
        self.refused = False
        """Something was not asked for, because its namespace was known to be going."""

    def wrote(self, resource: Resource, answer: Object) -> None:
        """Remember the version of an object that the API server has answered a write with."""
        name = resource.group_plural
        version = str((answer.get("metadata") or {}).get("resourceVersion") or "")
        if name in self._informers and version.isdigit():
            self._versions[name] = max(self._versions.get(name, 0), int(version))

    def deleted(self, resource: Resource, name: str, namespace: str | None, uid: str | None) -> None:
        """Remember a deletion: the cache must lose the object, or see it as being deleted."""
        informer = self._informers.get(resource.group_plural)
        if informer is None:
            return
        key = f"{namespace}/{name}" if namespace else name
        cached = informer.get(key)
        if cached is None:
            return
        found = str(cached["metadata"].get("uid"))
        if uid is None or uid == found:
            self._deletions.append((informer, key, found))

    def uncertain(self, resource: Resource) -> None:
        """Remember that a write to `resource` may have happened."""
        if resource.group_plural in self._informers:
            self._uncertain[resource.group_plural] = None

    @property
    def any(self) -> bool:
        return bool(self._versions or self._deletions or self._uncertain)

    async def visible(self) -> None:
        """Return once the caches include every write remembered."""
        for name in list(self._uncertain):
            await self._informers[name].refresh()
            del self._uncertain[name]
        for name, version in self._versions.items():
            await self._informers[name].wait_version(version)
        for informer, key, uid in self._deletions:
            await informer.wait_until(lambda i=informer, k=key, u=uid: _gone(i, k, u))  # type: ignore[misc]


def _gone(informer: Informer, key: str, uid: str) -> bool:
    obj = informer.get(key)
    return obj is None or obj["metadata"].get("uid") != uid or "deletionTimestamp" in obj["metadata"]


def _nothing_goes(_namespace: str) -> bool:
    return False


class TrackedClient(Client):
    """A client whose writes are remembered. Reads pass through."""

    def __init__(
        self, client: Client, writes: OwnWrites, is_going: Callable[[str], bool] = _nothing_goes
    ) -> None:
        """`is_going` tells of a namespace that it is being deleted: then nothing can be made in it any more,
        and the server is not asked what it would answer."""
        super().__init__(client.transport, user_agent=client.user_agent)
        self._client = client
        self._writes = writes
        self._is_going = is_going

    async def _tracked(self, resource: Resource, write: Awaitable[Object]) -> Object:
        try:
            answer = await write
        except ApiError as error:
            if error.code >= 500:
                self._writes.uncertain(resource)
            raise
        except BaseException:
            self._writes.uncertain(resource)
            raise
        self._writes.wrote(resource, answer)
        return answer

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return await self._client.get(resource, name, namespace)

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
        return await self._client.list(
            resource,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            resource_version=resource_version,
            limit=limit,
        )

    def watch(
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
        return self._client.watch(
            resource,
            namespace,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=field_selector,
            bookmarks=bookmarks,
            timeout_s=timeout_s,
        )

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Object:
        target = namespace or (obj.get("metadata") or {}).get("namespace")
        if target and not subresource and self._is_going(target):
            self._writes.refused = True
            raise namespace_terminating(resource, target)
        write = self._client.create(resource, obj, namespace, subresource=subresource, name=name)
        return await self._tracked(resource, write)

    async def update(self, resource: Resource, obj: Object, *, subresource: str = "") -> Object:
        return await self._tracked(resource, self._client.update(resource, obj, subresource=subresource))

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
        write = self._client.patch(
            resource,
            name,
            patch,
            namespace,
            type=type,
            subresource=subresource,
            field_manager=field_manager,
            force=force,
        )
        return await self._tracked(resource, write)

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
        try:
            answer = await self._client.delete(
                resource,
                name,
                namespace,
                grace_period_s=grace_period_s,
                propagation=propagation,
                uid=uid,
                resource_version=resource_version,
            )
        except NotFound:
            self._writes.deleted(resource, name, namespace, uid)
            raise
        self._writes.deleted(resource, name, namespace, uid)
        return answer

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation: str | None = None,
    ) -> Object:
        write = self._client.delete_collection(
            resource,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            propagation=propagation,
        )
        return await self._tracked(resource, write)

    async def raw(
        self, method: str, target: str, *, body: bytes = b"", content_type: str = "application/json"
    ) -> bytes:
        return await self._client.raw(method, target, body=body, content_type=content_type)

    async def close(self) -> None:
        """The shared client belongs to the process, not to one reconcile."""
