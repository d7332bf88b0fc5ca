"""Custom resources as they are served: objects stored in one version, read and written in another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.cacher.root import Root
from podium.apiserver.registry.served import Served
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.structural.schema import StructuralSchema


class Converter(Protocol):
    """Converts between versions by asking somebody."""

    async def convert(self, objects: list[Object], api_version: str) -> list[Object]:
        """Return the objects in another version, in their order. Raises `ApiError`."""
        ...


_Known = tuple[Any, bytes | None]
"""(who has shown it, its bytes; None where the stored ones do)."""


class CustomServed(Served):
    """One version of a custom resource.

    Stored objects are brought into this version's form when they are first shown, and kept in it: its bytes,
    or only the knowledge that they are the stored ones. A changed definition makes new values of this class,
    so nothing that an older one has shown is taken for current.
    """

    custom = True

    def __init__(
        self,
        resource: Resource,
        root: Root,
        *,
        schema: StructuralSchema,
        stored_version: str,
        stored_schema: StructuralSchema,
        converter: Converter | None,
    ) -> None:
        super().__init__(resource, root)
        self._schema = schema
        self._stored_api_version = f"{resource.group}/{stored_version}"
        self._stored_schema = stored_schema
        self._converter = converter
        self.needs_preparing = converter is not None

    @property
    def stored_api_version(self) -> str:
        return self._stored_api_version

    # --- reading

    def whole(self, entry: Entry) -> bytes:
        """Return the object in this version, encoded. What a webhook converts must be prepared."""
        known = self._known(entry)
        if known is None:
            obj = self._stored(entry)
            if self._converter is not None and not self._is_own(entry):
                # A watch cannot wait for a webhook: it shows what is stored, and the version it is stored in.
                return orjson.dumps(obj)
            known = self._keep(entry, obj)
        body = known[1]
        return self.head + entry.item[1:] if body is None else body

    def object(self, entry: Entry) -> Object:
        found: Object = orjson.loads(self.whole(entry))
        return found

    async def prepare(self, entries: Sequence[Entry]) -> None:
        """Convert those that are stored in another version, all in one request."""
        if self._converter is None:
            return
        foreign = [entry for entry in entries if self._known(entry) is None and not self._is_own(entry)]
        if not foreign:
            return
        objects = await self._converter.convert(
            [self._stored(entry) for entry in foreign], self.resource.api_version
        )
        for entry, obj in zip(foreign, objects, strict=True):
            self._keep(entry, obj)

    def _known(self, entry: Entry) -> _Known | None:
        known = (entry.shown or {}).get(self.resource.version)
        return known if known is not None and known[0] is self else None

    def _is_own(self, entry: Entry) -> bool:
        return entry.api_version == self.resource.api_version

    def _stored(self, entry: Entry) -> dict[str, Any]:
        return {
            "apiVersion": entry.api_version or self._stored_api_version,
            "kind": self.resource.kind,
            **entry.decode(),
        }

    def _keep(self, entry: Entry, obj: dict[str, Any]) -> _Known:
        self._schema.read(obj)
        rest = {name: value for name, value in obj.items() if name not in ("apiVersion", "kind")}
        body = orjson.dumps(rest)
        known = (self, None if body == entry.item else self.head + body[1:])
        if entry.shown is None:
            entry.shown = {}
        entry.shown[self.resource.version] = known
        return known

    async def converted_from(self, other: Served, obj: dict[str, Any]) -> dict[str, Any]:
        """Return `obj`, which is in the version of `other`, in this one."""
        if self._converter is not None:
            (converted,) = await self._converter.convert([obj], self.resource.api_version)
        else:
            converted = orjson.loads(orjson.dumps(obj))
        converted["apiVersion"] = self.resource.api_version
        self._schema.read(converted)
        return converted

    # --- writing

    async def encodable(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Return an object of this version in the one that is stored."""
        if self._stored_api_version == self.resource.api_version:
            return stored
        if self._converter is not None:
            (converted,) = await self._converter.convert([stored], self._stored_api_version)
        else:
            converted = orjson.loads(orjson.dumps(stored))
        converted["apiVersion"] = self._stored_api_version
        self._stored_schema.cut(converted)
        return converted

    def is_stale(self, entry: Entry) -> bool:
        """Whether the object is stored in another version than it would be now: writing it migrates it."""
        return entry.api_version != self._stored_api_version
