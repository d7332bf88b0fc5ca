"""Embedded resources: whole objects inside of custom resources, with a type and metadata of their own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from podium.machinery import validation
from podium.machinery.decode import DecodeError
from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.golang import as_map, found_kind
from podium.machinery.meta import deep_copy
from podium.machinery.schema import Schema, Schemas

_EMBEDDED = "x-kubernetes-embedded-resource"


def embedded_objects(value: Json, schema: Json, path: str) -> Iterator[tuple[str, Object]]:
    """Yield each embedded resource in a value, with its path; the value itself too, if it is one."""
    if not isinstance(schema, dict) or not _embeds(schema):
        return
    if isinstance(value, dict):
        if schema.get(_EMBEDDED):
            yield path, value
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for key, part in value.items():
            if key in properties:
                yield from embedded_objects(part, properties[key], f"{path}.{key}" if path else key)
            else:
                yield from embedded_objects(part, others, f"{path}[{key}]")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from embedded_objects(item, schema.get("items"), f"{path}[{index}]")


def _embeds(schema: Object) -> bool:
    """Whether there is any container left to descend into."""
    return bool(
        schema.get(_EMBEDDED)
        or schema.get("properties")
        or schema.get("items")
        or schema.get("additionalProperties")
    )


@cache
def _metadata_schema() -> Schema:
    return Schemas.load().compile("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")


def type_errors(value: Json, schema: Json, path: str) -> Iterator[FieldError]:
    """Yield what upstream cannot read of the embedded resources in a value, before it validates them."""
    for where, embedded in embedded_objects(value, schema, path):
        for name in ("apiVersion", "kind"):
            if name in embedded and not isinstance(embedded[name], str):
                yield FieldError.invalid(_joined(where, name), embedded[name], "must be a string")
        if embedded.get("metadata") and (unread := _unread(embedded["metadata"])):
            yield FieldError.invalid(_joined(where, "metadata"), as_map(embedded["metadata"]), unread)


def _unread(metadata: Json) -> str:
    """Return why metadata cannot be read, "" when it can."""
    if not isinstance(metadata, dict):
        return f"json: cannot unmarshal {found_kind(metadata)} into Go value of type v1.ObjectMeta"
    try:
        _metadata_schema().decode(deep_copy(metadata))
    except DecodeError as error:
        return str(error)
    return ""


def embedded_errors(value: Json, schema: Json, path: str) -> list[FieldError]:
    """Return what is wrong with the types and the metadata of the embedded resources in a value."""
    errors: list[FieldError] = []
    for where, embedded in embedded_objects(value, schema, path):
        errors += [
            FieldError.required(_joined(where, name))
            for name in ("apiVersion", "kind")
            if name not in embedded
        ]
        for name in embedded:
            if name == "apiVersion":
                errors += _api_version_errors(embedded[name], _joined(where, name))
            elif name == "kind":
                errors += _kind_errors(embedded[name], _joined(where, name))
            elif name == "metadata":
                errors += _metadata_errors(embedded[name], _joined(where, name))
    return errors


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _api_version_errors(value: Json, path: str) -> list[FieldError]:
    if not isinstance(value, str):
        return [FieldError.invalid(path, value, "must be a string")]
    if not value:
        return [FieldError.invalid(path, value, "must not be empty")]
    if value.count("/") > 1:
        return [FieldError.invalid(path, value, f"unexpected GroupVersion string: {value}")]
    return []


def _kind_errors(value: Json, path: str) -> list[FieldError]:
    if not isinstance(value, str):
        return [FieldError.invalid(path, value, "must be a string")]
    if not value:
        return [FieldError.invalid(path, value, "must not be empty")]
    faults = validation.dns1035_label_errors(value.lower())
    detail = "may have mixed case, but should otherwise match: " + ",".join(faults)
    return [FieldError.invalid(path, value, detail)] if faults else []


def _metadata_errors(value: Json, path: str) -> list[FieldError]:
    if value is None:
        return []
    if unread := _unread(value):
        return [FieldError.invalid(path, value, unread)]
    # A name is not asked for; one that is there must be a name.
    named = value if value.get("name") else {**value, "name": "fakename"}
    return validation.validate_metadata(
        named,
        namespaced=bool(value.get("namespace")),
        name_errors=validation.path_segment_errors,
        field=path,
    )
