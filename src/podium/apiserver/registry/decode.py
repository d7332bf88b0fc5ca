"""From bytes to objects: the registry's side of `machinery.codec` and `machinery.schema`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from podium.apiserver.registry.call import Call
from podium.apiserver.registry.served import Catalog
from podium.machinery import decode as schema_decode
from podium.machinery.errors import Json, Object
from podium.machinery.golang import found_kind
from podium.machinery.resource import Resource

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry

_SCHEME = '"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'


class DecodeError(ValueError):
    """A body that is no JSON or YAML, or not of its schema's types. The text is upstream's."""


def decode_value(raw: bytes) -> tuple[Json, Sequence[str]]:
    """Return the JSON value in `raw` and the paths of duplicate fields. Raises `DecodeError`."""
    try:
        return orjson.loads(raw), ()
    except orjson.JSONDecodeError as error:
        raise DecodeError(str(error)) from None


def decode_json(raw: bytes) -> tuple[Object, Sequence[str]]:
    """Return the object in `raw` and the paths of duplicate fields. Raises `DecodeError`."""
    value, duplicates = decode_value(raw)
    return _as_object(value), duplicates


def decode_yaml(raw: bytes) -> tuple[Object, Sequence[str]]:
    """As `decode_json`, from YAML."""
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
        raise DecodeError(
            f"json: cannot unmarshal {found_kind(value)} into Go value of type struct "
            '{ APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
        )
    return value


def kind_problem(catalog: Catalog, obj: Object, resource: Resource, kind: str = "", version: str = "") -> str:
    """Return what is wrong with the kind and apiVersion of `obj`, which may be missing; "" when nothing is.

    `kind` and `version` are wanted where a subresource has a kind of its own, else those of `resource`.
    """
    wanted_kind, wanted_version = kind or resource.kind, version or resource.api_version
    found_kind_, api_version = obj.get("kind") or wanted_kind, obj.get("apiVersion") or wanted_version
    if found_kind_ == wanted_kind and api_version == wanted_version:
        return ""
    if not kind and catalog.find_kind(api_version, found_kind_) is not None:
        package = api_version.rpartition("/")[2]
        internal = wanted_version.rpartition("/")[0].partition(".")[0] or "core"
        return f"converting ({package}.{found_kind_}) to ({internal}.{wanted_kind}): unknown conversion"
    return f'no kind "{found_kind_}" is registered for version "{api_version}" in scheme {_SCHEME}'


def prune(registry: Registry, call: Call, obj: Object, duplicates: Sequence[str], schema: str) -> None:
    """Remove what the schema does not know; warn or refuse as the call's field validation says.

    Raises `DecodeError` for values of the wrong type, and for unknown fields where that is strict.
    """
    try:
        unknown = registry.schema_of(schema).decode(obj)
    except schema_decode.DecodeError as error:
        raise DecodeError(str(error)) from None
    if call.field_validation == "Ignore" or not (unknown or duplicates):
        return
    complaints = [f'unknown field "{path}"' for path in unknown]
    complaints += [f'duplicate field "{path}"' for path in duplicates]
    if call.field_validation == "Strict":
        raise DecodeError(f"strict decoding error: {', '.join(complaints)}")
    for complaint in complaints:
        call.warn(complaint)
