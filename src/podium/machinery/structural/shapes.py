"""Structural schemas as shapes: patches, managed fields and apply walk custom resources like built-in."""

from __future__ import annotations

from podium.machinery.errors import Json, Object
from podium.machinery.shape import Field, Kind, ListType, Shape

_SCALARS: dict[str, Kind] = {"string": "string", "boolean": "bool", "integer": "int64", "number": "number"}
_DEDUCED = Shape(kind="any", go_type="interface {}")
_STRING = Shape(kind="string", go_type="string")


def root_shape(source: Object, metadata: Shape) -> Shape:
    """Return the shape of a whole custom resource; `metadata` is that of every object's metadata."""
    return _struct(source, metadata, whole=True)


def _shape(source: Json, metadata: Shape) -> Shape:
    if not isinstance(source, dict):
        return _DEDUCED
    if source.get("x-kubernetes-int-or-string"):
        return Shape(kind="int-or-string", go_type="intstr.IntOrString")
    type = source.get("type") or ""
    if type == "array":
        return _list(source, metadata)
    if type in _SCALARS:
        return Shape(kind=_SCALARS[type], go_type=type)
    return _object(source, metadata)


def _object(source: Object, metadata: Shape) -> Shape:
    atomic = source.get("x-kubernetes-map-type") == "atomic"
    values = source.get("additionalProperties")
    embedded = bool(source.get("x-kubernetes-embedded-resource"))
    if source.get("properties") or embedded:
        return _struct(source, metadata, whole=embedded)
    if isinstance(values, dict):
        return Shape(kind="map", go_type="map", element=_shape(values, metadata), atomic=atomic)
    if values or source.get("x-kubernetes-preserve-unknown-fields") or not source.get("type"):
        return Shape(kind="any", go_type="interface {}", atomic=atomic)
    return Shape(kind="struct", go_type="object", atomic=atomic)


def _struct(source: Object, metadata: Shape, *, whole: bool) -> Shape:
    def fields() -> dict[str, Field]:
        made = {name: _field(name, _shape(part, metadata)) for name, part in _properties(source).items()}
        if whole:
            made["apiVersion"], made["kind"] = _field("apiVersion", _STRING), _field("kind", _STRING)
            made["metadata"] = _field("metadata", metadata)
        return made

    return Shape(
        kind="struct",
        go_type="object",
        lazy_fields=fields,
        atomic=source.get("x-kubernetes-map-type") == "atomic",
        preserve_unknown=bool(source.get("x-kubernetes-preserve-unknown-fields")),
    )


def _properties(source: Object) -> Object:
    found: Object = source.get("properties") or {}
    return found


def _field(name: str, shape: Shape) -> Field:
    return Field(name=name, shape=shape, pointer=True, always=False, atomic=shape.atomic)


def _list(source: Object, metadata: Shape) -> Shape:
    wanted = source.get("x-kubernetes-list-type")
    list_type: ListType = wanted if wanted in ("set", "map") else "atomic"
    keys = tuple(source.get("x-kubernetes-list-map-keys") or ())
    items = source.get("items")
    properties = _properties(items) if isinstance(items, dict) else {}
    defaults = {key: properties[key]["default"] for key in keys if "default" in (properties.get(key) or {})}
    return Shape(
        kind="list",
        go_type="array",
        element=_shape(items, metadata),
        list_type=list_type,
        atomic=list_type == "atomic",
        map_keys=keys if list_type == "map" else (),
        key_defaults=defaults,
    )
