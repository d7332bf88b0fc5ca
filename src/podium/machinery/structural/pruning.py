"""Pruning: fields that a structural schema does not specify go away; so do nulls where none is allowed."""

from __future__ import annotations

from podium.machinery.errors import Json, Object

OBJECT_FIELDS = frozenset(("apiVersion", "kind", "metadata"))
"""What every whole object has, without its schema saying so."""


def prune(obj: Object, schema: Object) -> list[str]:
    """Remove from a whole object, in place, what its schema does not know; return the paths, sorted."""
    gone: list[str] = []
    _prune_map(obj, {**schema, "x-kubernetes-embedded-resource": True}, "", gone)
    return sorted(gone)


def _prune(value: Json, schema: Object | None, path: str, gone: list[str]) -> None:
    if value.__class__ is dict:
        _prune_map(value, schema, path, gone)
    elif value.__class__ is list:
        items = None if schema is None else schema.get("items")
        if items is None and schema is not None and _preserves(schema):
            return
        for index, item in enumerate(value):
            _prune(item, items, f"{path}[{index}]", gone)


def _preserves(schema: Object) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def _prune_map(value: Object, schema: Object | None, path: str, gone: list[str]) -> None:
    schema = schema or {}
    properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
    preserves, embedded = _preserves(schema), bool(schema.get("x-kubernetes-embedded-resource"))
    unknown: list[str] = []
    for key, part in value.items():
        if embedded and key in OBJECT_FIELDS:
            continue
        if key in properties:
            _prune(part, properties[key], joined(path, key), gone)
        elif others:
            _prune(part, others if isinstance(others, dict) else None, joined(path, key), gone)
        elif not preserves:
            unknown.append(key)
    for key in unknown:
        del value[key]
        gone.append(joined(path, key))


def joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def drop_nulls(value: Json, schema: Object) -> None:
    """Remove nulls, in place, from fields that may not be null. Defaults must have been filled in before."""
    if value.__class__ is dict:
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for key in list(value):
            inner = properties.get(key)
            if inner is None and isinstance(others, dict):
                inner = others
            if inner is None:
                continue
            if value[key] is None:
                if not inner.get("nullable"):
                    del value[key]
            else:
                drop_nulls(value[key], inner)
    elif value.__class__ is list:
        items = schema.get("items")
        if isinstance(items, dict):
            for item in value:
                drop_nulls(item, items)
