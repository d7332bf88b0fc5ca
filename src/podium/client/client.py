"""The client every component uses: typed verbs over plain dicts, through one transport.

A `Transport` carries one HTTP exchange; over TLS in production, straight into the handler chain in an
embedded cluster. Errors arrive as the same `ApiError` tree that the server raises.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from podium.base.http.message import Headers
from podium.machinery.errors import Json, Object
from podium.machinery.resource import Resource

PatchType = Literal["json", "merge", "strategic", "apply"]

PATCH_MEDIA_TYPES: Mapping[PatchType, str] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK. (ERROR is raised, not yielded.)"""

    type: str
    object: Object


class ClientResponse(Protocol):
    """An answer whose head has arrived. `chunks` yields the body as it comes."""

    status: int
    headers: Headers

    async def read(self) -> bytes: ...
    def chunks(self) -> AsyncIterator[bytes]: ...


class Transport(Protocol):
    """Carries requests to one API server, with one identity."""

    def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AbstractAsyncContextManager[ClientResponse]:
        """Send a request; leaving the context abandons what is unread. Raises ConnectionError."""
        ...

    async def close(self) -> None: ...


class Client:
    """Verbs on resources. Every method raises `ApiError` for an answer that is not success, and
    `ConnectionError` when no answer came."""

    def __init__(self, transport: Transport, *, user_agent: str = "podium") -> None:
        self.transport = transport
        self.user_agent = user_agent

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        raise NotImplementedError

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
        """Return the list object; with `limit`, follows `continue` until the list is whole."""
        raise NotImplementedError

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
        """Yield events after `resource_version` until the server ends the watch.

        Raises `Expired`/`Gone` when the version is no longer kept.
        """
        raise NotImplementedError

    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Object:
        """POST `obj`; the namespace defaults to the object's own. With `subresource`, POST below `name`
        (a Binding: subresource="binding", name=pod)."""
        raise NotImplementedError

    async def update(self, resource: Resource, obj: Object, *, subresource: str = "") -> Object:
        """PUT `obj` at its own name and namespace."""
        raise NotImplementedError

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
        raise NotImplementedError

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
        """DELETE, with preconditions on uid and resourceVersion where given."""
        raise NotImplementedError

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Object:
        raise NotImplementedError

    async def raw(
        self, method: str, target: str, *, body: bytes = b"", content_type: str = "application/json"
    ) -> bytes:
        """Send a request to any path and return the body of a successful answer."""
        raise NotImplementedError

    async def close(self) -> None:
        await self.transport.close()
