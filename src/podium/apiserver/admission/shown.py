"""How a write is shown to webhooks and policies: its objects in the versions they want, and who asks."""

from __future__ import annotations

import orjson

from podium.apiserver.admission.matching import Match, internal, namespace_of
from podium.apiserver.chain import Attributes, Kind
from podium.machinery.errors import ApiError, Object
from podium.machinery.resource import Resource


class Shown:
    """The objects of one write, converted and encoded once for each version."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self._objects: dict[str, Object] = {}
        self._requests: dict[tuple[str, str, str], Object] = {}
        self._encoded: dict[str, bytes] = {}
        self._old: dict[str, Object] = {}
        self._encoded_old: dict[str, bytes] = {}

    async def object(self, match: Match) -> Object | None:
        """Return the object as it is now, in the version of `match`. Raises `ApiError` (500)."""
        return await self._converted(self._objects, self._attributes.object, match)

    async def old_object(self, match: Match) -> Object | None:
        return await self._converted(self._old, self._attributes.old_object, match)

    async def encoded(self, match: Match) -> tuple[bytes | None, bytes | None]:
        """Return the object and the old object."""
        version = match.kind.api_version
        obj, old = await self.object(match), await self.old_object(match)
        return _encode(self._encoded, version, obj), _encode(self._encoded_old, version, old)

    def changed(self) -> None:
        """The object is another now."""
        self._objects.clear()
        self._encoded.clear()
        self._requests.clear()

    def request(self, match: Match) -> Object:
        """Return what expressions see of the request itself."""
        key = match.resource.group, match.resource.version, match.resource.plural
        found = self._requests.get(key)
        if found is None:
            found = self._requests[key] = request_of(self._attributes, match)
        return found

    async def _converted(self, known: dict[str, Object], obj: Object | None, match: Match) -> Object | None:
        if obj is None:
            return None
        version = match.kind.api_version
        found = known.get(version)
        if found is None:
            host = self._attributes.host
            if host is None:
                return obj
            try:
                found = await host.convert(obj, self._attributes.resource, match.resource)
            except ApiError as error:
                raise internal(error.message) from None
            known[version] = found
        return found


def _encode(known: dict[str, bytes], version: str, obj: Object | None) -> bytes | None:
    if obj is None:
        return None
    found = known.get(version)
    if found is None:
        found = known[version] = orjson.dumps(obj)
    return found


def request_of(attributes: Attributes, match: Match) -> Object:
    """Return an AdmissionRequest as far as it is the same for webhooks and for expressions."""
    user, sub, asked = attributes.user, attributes.subresource, attributes.resource
    kind = attributes.host.kind_of(asked, sub) if attributes.host else match.kind
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra.items()}
    request: Object = {"kind": _kind(match.kind), "resource": _resource(match.resource)}
    if sub:
        request["subResource"] = sub
    request["requestKind"] = _kind(kind)
    request["requestResource"] = _resource(asked)
    if sub:
        request["requestSubResource"] = sub
    name = attributes.name or ((attributes.object or {}).get("metadata") or {}).get("name")
    if name:
        request["name"] = name
    if namespace := namespace_of(attributes):
        request["namespace"] = namespace
    request["operation"] = attributes.operation
    request["userInfo"] = info
    request["dryRun"] = attributes.dry_run
    request["options"] = attributes.options or None
    return request


def _kind(kind: Kind) -> Object:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _resource(resource: Resource) -> Object:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}
