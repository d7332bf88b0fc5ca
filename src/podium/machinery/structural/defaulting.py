"""Defaults of structural schemas: filled in where a field is missing, or null and may not be."""

from __future__ import annotations

from collections.abc import Callable

from podium.machinery.errors import Json, Object
from podium.machinery.meta import deep_copy

Defaulter = Callable[[Json], None]


def defaulter(schema: Object) -> Defaulter | None:
    """Return what fills in the defaults below a value, in place; None where there are none."""
    properties, others, items = (
        schema.get("properties") or {},
        schema.get("additionalProperties"),
        schema.get("items"),
    )
    fills = {
        name: (part["default"], bool(part.get("nullable")))
        for name, part in properties.items()
        if part.get("default") is not None
    }
    inner = {name: made for name, part in properties.items() if (made := defaulter(part)) is not None}
    if fills or inner or isinstance(others, dict):
        rest = _element(others) if isinstance(others, dict) else None
        if fills or inner or rest is not None:
            return _map_defaulter(properties, fills, inner, rest)
    if isinstance(items, dict):
        element = _element(items)
        if element is not None:
            return _list_defaulter(element)
    return None


_Element = tuple[Json, bool, Defaulter | None]
"""(the default of a null that is not allowed, whether nulls are allowed, what fills in the inside)."""


def _element(schema: Object) -> _Element | None:
    inside, default, nullable = defaulter(schema), schema.get("default"), bool(schema.get("nullable"))
    return None if inside is None and (nullable or default is None) else (default, nullable, inside)


def _map_defaulter(
    properties: Object,
    fills: dict[str, tuple[Json, bool]],
    inner: dict[str, Defaulter],
    rest: _Element | None,
) -> Defaulter:
    def fill(value: Json) -> None:
        if value.__class__ is not dict:
            return
        for name, (default, nullable) in fills.items():
            if name not in value or (value[name] is None and not nullable):
                value[name] = deep_copy(default)
        for name, inside in inner.items():
            if name in value:
                inside(value[name])
        if rest is None:
            return
        default, nullable, inside_ = rest
        for name in value:
            if name in properties:
                continue
            if value[name] is None and not nullable and default is not None:
                value[name] = deep_copy(default)
            if inside_ is not None:
                inside_(value[name])

    return fill


def _list_defaulter(element: _Element) -> Defaulter:
    default, nullable, inside = element

    def fill(values: Json) -> None:
        if values.__class__ is not list:
            return
        for index, value in enumerate(values):
            if value is None and not nullable and default is not None:
                values[index] = deep_copy(default)
            if inside is not None:
                inside(values[index])

    return fill
