"""From bytes to objects: the registry's side of `machinery.codec` and `machinery.schema`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from podium.apiserver.registry.call import Call
from podium.machinery.errors import Json, Object

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry


class DecodeError(ValueError):
    """A body that is no JSON or YAML, or not of its schema's types. The text is upstream's."""


def decode_json(raw: bytes) -> tuple[Object, Sequence[str]]:
    """Return the object in `raw` and the paths of duplicate fields. Raises `DecodeError`."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise DecodeError(str(error)) from None
    return _as_object(value), ()


def decode_yaml(raw: bytes) -> tuple[Object, Sequence[str]]:
    import yaml  # noqa: PLC0415 - slow to import, rarely sent

    try:
        value = yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise DecodeError(str(error)) from None
    return _as_object(value), ()


def _as_object(value: Json) -> Object:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DecodeError("not an object")
    return value


def prune(registry: Registry, call: Call, obj: Object, duplicates: Sequence[str], schema: str) -> None:
    """Remove what the schema does not know; warn or refuse as the call's field validation says.

    Raises `DecodeError` for values of the wrong type, and for unknown fields where that is strict.
    """
