"""The client every component uses: typed verbs over plain dicts, through one transport.

A `Transport` carries one HTTP exchange; over TLS in production, straight into the handler chain in an
embedded cluster. Errors arrive as the same `ApiError` tree that the server raises.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast
from urllib.parse import urlencode

import orjson

from podium.base.http.message import Headers
from podium.machinery.errors import Expired, Json, Object, from_status
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


WATCH_LINE_BYTES_MAX = 32 * 1024 * 1024
MESSAGE_BYTES_MAX = 2048


class Client:
    """Verbs on resources. Every method raises `ApiError` for an answer that is not success, and
    `ConnectionError` when no answer came."""

    def __init__(
        self, transport: Transport, *, user_agent: str = "podium", accept: str = "application/json"
    ) -> None:
        """`accept` asks for other forms of the answers, such as PartialObjectMetadata."""
        self.transport = transport
        self.user_agent = user_agent
        self._read_headers = {"accept": accept, "user-agent": user_agent}

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return await self._call("GET", resource.path(namespace, name))

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
        path = resource.path(namespace)
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        whole = {**selectors, "resourceVersion": resource_version}
        page = await self._call("GET", path, {**whole, "limit": limit or ""})
        items: list[Object] = page.get("items") or []
        try:
            while token := (page.get("metadata") or {}).get("continue"):
                page = await self._call("GET", path, {**selectors, "limit": limit or "", "continue": token})
                items += page.get("items") or []
        except Expired:
            # The pages' revision is gone. One long answer is the list at one revision, which pages from two
            # revisions would not be.
            return await self._call("GET", path, whole)
        page["items"] = items
        return page

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
        """Yield events after `resource_version` until the server ends the watch.

        Raises `Expired`/`Gone` when the version is no longer kept.
        """
        query = {
            "watch": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "allowWatchBookmarks": "true" if bookmarks else "",
            "timeoutSeconds": timeout_s or "",
        }
        target = _target(resource.path(namespace), query)
        async with self.transport.request("GET", target, headers=self._read_headers) as response:
            if response.status != 200:
                raise await _error(response)
            async with aclosing(_lines(response)) as lines:
                async for line in lines:
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise from_status(int(status.get("code") or 500), status)
                    yield WatchEvent(type=event["type"], object=event["object"])

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
        if namespace is None:
            namespace = obj.get("metadata", {}).get("namespace")
        path = resource.path(namespace, name or None, subresource)
        return await self._call("POST", path, body=orjson.dumps(obj))

    async def update(self, resource: Resource, obj: Object, *, subresource: str = "") -> Object:
        """PUT `obj` at its own name and namespace."""
        meta = obj["metadata"]
        path = resource.path(meta.get("namespace"), meta["name"], subresource)
        return await self._call("PUT", path, body=orjson.dumps(obj))

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
        query = {"fieldManager": field_manager, "force": "true" if force else ""}
        return await self._call(
            "PATCH",
            resource.path(namespace, name, subresource),
            query,
            body=orjson.dumps(patch),
            content_type=PATCH_MEDIA_TYPES[type],
        )

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
        options: Object = {}
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation is not None:
            options["propagationPolicy"] = propagation
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if uid is not None or resource_version is not None:
            options["preconditions"] = {k: v for k, v in preconditions.items() if v is not None}
        body = b""
        if options:
            body = orjson.dumps({"kind": "DeleteOptions", "apiVersion": "v1", **options})
        return await self._call("DELETE", resource.path(namespace, name), body=body)

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        propagation: str | None = None,
    ) -> Object:
        query = {"labelSelector": label_selector, "fieldSelector": field_selector}
        if propagation is not None:
            query["propagationPolicy"] = propagation
        return await self._call("DELETE", resource.path(namespace), query)

    async def raw(
        self, method: str, target: str, *, body: bytes = b"", content_type: str = "application/json"
    ) -> bytes:
        """Send a request to any path and return the body of a successful answer."""
        headers = {**self._read_headers, "content-type": content_type} if body else self._read_headers
        async with self.transport.request(method, target, headers=headers, body=body) as response:
            if not 200 <= response.status < 300:
                raise await _error(response)
            return await response.read()

    async def close(self) -> None:
        await self.transport.close()

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None = None,
        *,
        body: bytes = b"",
        content_type: str = "application/json",
    ) -> Object:
        """Send one request and return the object of its answer."""
        answer = await self.raw(method, _target(path, query or {}), body=body, content_type=content_type)
        return cast(Object, orjson.loads(answer)) if answer else {}


def _target(path: str, query: Mapping[str, str | int]) -> str:
    """Return path and query; parameters with an empty value are left out."""
    given = [(key, value) for key, value in query.items() if value != ""]
    return f"{path}?{urlencode(given)}" if given else path


async def _error(response: ClientResponse) -> Exception:
    """Return the error that an answer means: a `Status`, or plain text of some proxy on the way."""
    body = await response.read()
    status: Any = None
    with suppress(ValueError):
        status = orjson.loads(body)
    if not isinstance(status, dict) or status.get("kind") != "Status":
        text = body[:MESSAGE_BYTES_MAX].decode(errors="replace").strip()
        status = {"message": text or f"the server answered with status {response.status}"}
    return from_status(response.status, status)


async def _lines(response: ClientResponse) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a body as they are complete."""
    parts: list[bytes] = []
    size = 0
    async for chunk in response.chunks():
        head, newline, rest = chunk.partition(b"\n")
        parts.append(head)
        size += len(head)
        if size > WATCH_LINE_BYTES_MAX:
            raise ConnectionError("the server sent an endless line")
        while newline:
            line = b"".join(parts)
            if line.strip():
                yield line
            head, newline, rest = rest.partition(b"\n")
            parts, size = [head], len(head)
