"""From bytes to objects: the registry's side of `machinery.codec` and `machinery.schema`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from podium.apiserver.registry.call import Call
from podium.machinery import decode as schema_decode
from podium.machinery.codec import json, yaml
from podium.machinery.errors import FieldError, Invalid, Json, Object, quoted
from podium.machinery.meta import deep_copy
from podium.machinery.resource import Resource
from podium.machinery.shape import Shape

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry

COMPLAINTS_MAX = 100
"""No more strict decoding errors than these are told, as upstream."""

_SCHEME = '"k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'
_EXTENSIONS = "apiextensions.k8s.io"
_EXTENSIONS_SCHEME = '"k8s.io/apiextensions-apiserver/pkg/apiserver/apiserver.go:55"'
"""Upstream serves definitions by a server of its own, which knows no other kinds."""


class DecodeError(ValueError):
    """A body that is no JSON or YAML, or not of its schema's types. The text is upstream's.

    `conversion` is what is said of the same after a strategic merge patch.
    """

    def __init__(self, message: str, conversion: str = "") -> None:
        super().__init__(message)
        self.conversion = conversion or message


def decode_json(raw: bytes, kind: str) -> Object:
    """Return the object in `raw`, which is to be of `kind`. Raises `BadRequest`."""
    return json.decode_object(raw, kind)


def decode_yaml(raw: bytes, kind: str) -> tuple[Object, Sequence[str]]:
    """As `decode_json`, from YAML, with complaints about keys that occur twice."""
    try:
        value, duplicates = yaml.decode_strictly(raw)
    except yaml.YamlError as error:
        raise json.unrecognized(kind, error.reason, raw) from None
    return json.as_object(value, kind, raw), duplicates


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


def json_duplicates(call: Call, raw: bytes, value: Json, shape: Shape | None = None) -> Sequence[str]:
    """Return complaints about fields that occur twice, where the call wants any.

    With the `shape` of what is decoded, unknown fields are complained of in between, where they stand.
    """
    if call.field_validation == "Ignore":
        return ()
    return repeat_complaints(json.with_repeats(raw, value), shape)


def repeat_complaints(found: Any, shape: Shape | None = None) -> Sequence[str]:
    """As `json_duplicates`, of what `json.with_repeats` has returned."""
    if found is None:
        return ()
    if shape is None:
        return [f'duplicate field "{path}"' for path in json.duplicates_in(found)]
    return schema_decode.strict_complaints(found, shape)


def kind_problem(
    registry: Registry, obj: Object, resource: Resource, kind: str = "", version: str = ""
) -> str:
    """Return what is wrong with the kind and apiVersion of `obj`, which may be missing; "" when nothing is.

    An object of another kind is decoded as that, and may fail at it. `kind` and `version` are wanted where a
    subresource has a kind of its own, else those of `resource`.
    """
    wanted_kind, wanted_version = kind or resource.kind, version or resource.api_version
    found_kind_, api_version = obj.get("kind") or wanted_kind, obj.get("apiVersion") or wanted_version
    if found_kind_ == wanted_kind and api_version == wanted_version:
        return ""
    if resource.group == _EXTENSIONS:
        what = f"no kind {quoted(found_kind_)} is registered for version {quoted(api_version)}"
        return f"{what} in scheme {_EXTENSIONS_SCHEME}"
    other = registry.catalog.find_kind(api_version, found_kind_)
    if other is not None:
        try:
            registry.schema_of(other.resource.schema).decode(deep_copy(obj))
        except schema_decode.DecodeError as error:
            return str(error)
        package = api_version.rpartition("/")[2]
        internal = wanted_version.rpartition("/")[0].partition(".")[0] or "core"
        return f"converting ({package}.{found_kind_}) to ({internal}.{wanted_kind}): unknown conversion"
    what = f"no kind {quoted(found_kind_)} is registered for version {quoted(api_version)}"
    return f"{what} in scheme {_SCHEME}"


def wrong_kind(resource: Resource, obj: Object) -> Invalid:
    """Return what upstream says of an object of another kind or version at the path of a custom resource."""
    kind, metadata = str(obj.get("kind") or ""), obj.get("metadata")
    name = str(metadata.get("name") or "") if isinstance(metadata, dict) else ""
    version = str(obj.get("apiVersion") or "")
    errors = [
        FieldError.invalid(field, found, f"must be {wanted}")
        for field, found, wanted in (
            ("kind", kind, resource.kind),
            ("apiVersion", version, resource.api_version),
        )
        if found != wanted
    ]
    return Invalid.of(kind, resource.group, name, errors)


def prune(registry: Registry, call: Call, obj: Object, duplicates: Sequence[str], schema: str) -> None:
    """Remove what the schema does not know; warn or refuse as the call's field validation says.

    `duplicates` are complaints about the body's text.

    Raises `DecodeError` for values of the wrong type, and for unknown fields where that is strict.
    """
    try:
        unknown = registry.schema_of(schema).decode(obj)
    except schema_decode.DecodeError as error:
        raise DecodeError(str(error), error.conversion) from None
    if call.field_validation == "Ignore" or not (unknown or duplicates):
        return
    complaints = list(dict.fromkeys((*duplicates, *(f'unknown field "{path}"' for path in unknown))))
    del complaints[COMPLAINTS_MAX:]
    if call.field_validation == "Strict":
        raise DecodeError(json.strict_error(complaints))
    for complaint in complaints:
        for part in yaml.complaints(complaint):
            call.warn(part)
