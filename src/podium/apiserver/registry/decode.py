"""From bytes to objects: the registry's side of `machinery.codec` and `machinery.schema`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from podium.apiserver.registry.call import Call
from podium.apiserver.registry.served import Catalog
from podium.machinery import decode as schema_decode
from podium.machinery.codec import json, yaml
from podium.machinery.errors import FieldError, Invalid, Json, Object
from podium.machinery.resource import Resource

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry

COMPLAINTS_MAX = 100
"""No more strict decoding errors than these are told, as upstream."""

_SCHEME = '"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'


class DecodeError(ValueError):
    """A body that is no JSON or YAML, or not of its schema's types. The text is upstream's."""


def decode_json(raw: bytes, kind: str) -> Object:
    """Return the object in `raw`, which is to be of `kind`. Raises `BadRequest`."""
    return json.decode_object(raw, kind)


def decode_yaml(raw: bytes, kind: str) -> Object:
    """As `decode_json`, from YAML."""
    try:
        value = yaml.decode(raw)
    except yaml.YamlError as error:
        raise json.unrecognized(kind, str(error), raw) from None
    return json.decode_object(json.encode(value), kind)


def decode_cbor(raw: bytes, kind: str) -> Object:
    """As `decode_json`, from CBOR."""
    # Loaded only where somebody sends it.
    from podium.machinery.codec import cbor  # noqa: PLC0415

    try:
        value = cbor.decode(raw)
    except cbor.CborError as error:
        why = f"unable to determine group/version/kind: {error}"
        raise json.unrecognized(kind, why, raw) from None
    return json.as_object(value, kind, raw)


def json_duplicates(call: Call, raw: bytes, value: Json) -> Sequence[str]:
    """Return complaints about fields that occur twice, where the call wants any."""
    if call.field_validation == "Ignore":
        return ()
    return [f'duplicate field "{path}"' for path in json.duplicates(raw, value)]


def yaml_duplicates(call: Call, raw: bytes) -> Sequence[str]:
    return () if call.field_validation == "Ignore" else yaml.duplicates(raw)


def kind_problem(catalog: Catalog, obj: Object, resource: Resource, kind: str = "", version: str = "") -> str:
    """Return what is wrong with the kind and apiVersion of `obj`, which may be missing; "" when nothing is.

    `kind` and `version` are wanted where a subresource has a kind of its own, else those of `resource`.
    """
    wanted_kind, wanted_version = kind or resource.kind, version or resource.api_version
    found_kind_, api_version = obj.get("kind") or wanted_kind, obj.get("apiVersion") or wanted_version
    if found_kind_ == wanted_kind and api_version == wanted_version:
        return ""
    if catalog.find_kind(api_version, found_kind_) is not None:
        package = api_version.rpartition("/")[2]
        internal = wanted_version.rpartition("/")[0].partition(".")[0] or "core"
        return f"converting ({package}.{found_kind_}) to ({internal}.{wanted_kind}): unknown conversion"
    return f'no kind "{found_kind_}" is registered for version "{api_version}" in scheme {_SCHEME}'


def wrong_kind(resource: Resource, obj: Object) -> Invalid:
    """Return what upstream says of an object of another kind at the path of a custom resource."""
    kind, metadata = str(obj.get("kind") or ""), obj.get("metadata")
    name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
    error = FieldError.invalid("kind", kind, f"must be {resource.kind}")
    return Invalid.of(kind, resource.group, name, [error])


def prune(registry: Registry, call: Call, obj: Object, duplicates: Sequence[str], schema: str) -> None:
    """Remove what the schema does not know; warn or refuse as the call's field validation says.

    `duplicates` are complaints about the body's text.

    Raises `DecodeError` for values of the wrong type, and for unknown fields where that is strict.
    """
    try:
        unknown = registry.schema_of(schema).decode(obj)
    except schema_decode.DecodeError as error:
        raise DecodeError(str(error)) from None
    if call.field_validation == "Ignore" or not (unknown or duplicates):
        return
    complaints = [*duplicates, *(f'unknown field "{path}"' for path in unknown)][:COMPLAINTS_MAX]
    if call.field_validation == "Strict":
        raise DecodeError(json.strict_error(complaints))
    for complaint in complaints:
        call.warn(complaint)
