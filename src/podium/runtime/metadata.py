"""Lists and watches of metadata alone, for those who follow all objects but not their contents."""

from __future__ import annotations

from collections.abc import AsyncIterator

from podium.client.client import Client, WatchEvent
from podium.machinery.errors import Object
from podium.machinery.resource import Resource

_ACCEPT = "application/json;as={kind};g=meta.k8s.io;v=v1,application/json"


class MetadataClient(Client):
    """A client whose `list` and `watch` bring PartialObjectMetadata; the other verbs are as ever."""

    def __init__(self, client: Client) -> None:
        super().__init__(client.transport, user_agent=client.user_agent)
        self._lists = Client(
            client.transport,
            user_agent=client.user_agent,
            accept=_ACCEPT.format(kind="PartialObjectMetadataList"),
        )
        self._watches = Client(
            client.transport,
            user_agent=client.user_agent,
            accept=_ACCEPT.format(kind="PartialObjectMetadata"),
        )

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
        return await self._lists.list(
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
        return self._watches.watch(
            resource,
            namespace,
            resource_version=resource_version,
            label_selector=label_selector,
            field_selector=field_selector,
            bookmarks=bookmarks,
            timeout_s=timeout_s,
        )
