"""Objects that something else has put into the store: upstream's API server, whose keys are the same.

Upstream keeps built-in kinds as protobuf, in a version that need not be the one kept here. They are read as
they are, and written as JSON when somebody changes them, which upstream reads as well.
"""

from __future__ import annotations

from functools import cache

import orjson

from podium.machinery.codec import protobuf
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.schema import Schemas


@cache
def _known() -> dict[tuple[str, str], Resource]:
    from podium.resources.catalogue import declared  # noqa: PLC0415 - only where there is such an object

    return {(one.api_version, one.kind): one for one in reversed(declared(legacy=False)) if one.stored}


@cache
def _schemas() -> Schemas:
    return Schemas.load()


def decode(value: bytes) -> Object:
    """Return the object in the version kept here. Raises ValueError for what cannot be made out."""
    if not value.startswith(protobuf.MAGIC):
        obj = orjson.loads(value)
        if not isinstance(obj, dict):
            raise ValueError("no object")
        return obj
    envelope = protobuf.unwrap(value)
    resource = _known().get((envelope.api_version, envelope.kind))
    if resource is None:
        raise ValueError(f'no kind "{envelope.kind}" is registered for version "{envelope.api_version}"')
    try:
        obj = protobuf.decode(resource.schema, envelope.raw)
    except LookupError as error:
        raise ValueError(str(error)) from None
    # Messages name every field that is no pointer, also where there is nothing to say.
    schema = _schemas().compile(resource.schema)
    schema.decode(obj)
    schema.seal(obj)
    if resource.storage is None:
        return obj
    return resource.to_storage({"apiVersion": envelope.api_version, "kind": envelope.kind, **obj})
