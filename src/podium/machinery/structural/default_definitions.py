"""Whether the defaults of a definition's schema may stand: they are pruned, and valid by their own schema.

Upstream: apiextensions-apiserver/pkg/apiserver/schema/defaulting/validation.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.meta import deep_copy
from podium.machinery.structural.embedded import embedded_errors, type_errors
from podium.machinery.structural.pruning import OBJECT_FIELDS, prune
from podium.machinery.structural.rules import ROOT, Budget, rule_errors_of_default
from podium.machinery.structural.values import Validator

_EMBEDDED = "x-kubernetes-embedded-resource"
_Around = Callable[[Json], Object]
"""Builds the resource that a value of metadata stands in."""


def default_errors(schema: Object, path: str) -> list[FieldError]:
    """Return what is wrong with the defaults of a whole resource's schema, which must be structural."""
    whole = {**schema, _EMBEDDED: True}
    return list(_below(whole, path, whole, None, Budget()))


def _below(
    schema: Object, path: str, resource: Object, around: _Around | None, budget: Budget
) -> Iterator[FieldError]:
    """Check the defaults of a schema and below it, but for those of a map's values, which have none.

    `resource` is the nearest whole resource's schema. `around` is known for its type and its metadata.
    """
    if schema.get(_EMBEDDED):
        resource, around = schema, None
    default = schema.get("default")
    if default is not None:
        yield from _one(schema, default, f"{path}.default", resource, around, budget)
    items = schema.get("items")
    if isinstance(items, dict):
        below = None if around is None else _within(around, lambda value: [value])
        yield from _below(items, f"{path}.items", resource, below, budget)
    for name in sorted(schema.get("properties") or {}):
        inner = schema["properties"][name]
        below = None
        if around is not None:
            below = _within(around, _under(name))
        elif schema.get(_EMBEDDED) and name in OBJECT_FIELDS:
            below = _within(_whole, _under(name))
        yield from _below(inner, f"{path}.properties[{name}]", resource, below, budget)


def _under(name: str) -> Callable[[Json], Json]:
    return lambda value: {name: value}


def _within(outer: _Around, inner: Callable[[Json], Json]) -> _Around:
    return lambda value: outer(inner(value))


def _whole(obj: Object) -> Object:
    return {"apiVersion": "validation/v1", "kind": "Validation", **obj}


def _one(
    schema: Object, default: Json, path: str, resource: Object, around: _Around | None, budget: Budget
) -> Iterator[FieldError]:
    if around is None:
        holder = {"default": deep_copy(default)}
        if prune(holder, {"type": "object", "properties": {"default": schema}}):
            yield FieldError.invalid(path, default, "must not have unknown fields")
        errors = list(type_errors(default, schema, path))[:1] or embedded_errors(default, schema, path)
    else:
        obj = around(deep_copy(default))
        errors = list(type_errors(obj, resource, ""))[:1] or embedded_errors(obj, resource, "")
        if errors:
            texts = [str(error) for error in errors]
            listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            errors = [FieldError.invalid(path, default, f"must result in valid metadata: {listed}")]
    yield from errors or _value_errors(schema, default, path, budget)


def _value_errors(schema: Object, default: Json, path: str, budget: Budget) -> list[FieldError]:
    # Upstream's texts speak of places below the default, its paths of those in the definition.
    errors = [
        FieldError(
            path if error.field == ROOT else f"{path}.{error.field.removeprefix('.')}",
            error.reason,
            error.message,
        )
        for error in Validator(schema, plain=True).validate(default, "").errors
    ]
    # Rules see it once as a value that stays, once as one that is new: transition rules tell the two apart.
    return errors or rule_errors_of_default(schema, default, path, budget)
