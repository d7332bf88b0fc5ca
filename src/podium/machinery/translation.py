"""Who owns which fields, said in another version of the same kind.

An entry of managedFields speaks of fields as its version names them: `spec.backend` of an Ingress is
`spec.defaultBackend` in another. What an entry owns is therefore taken out of the object in the entry's
version, converted, and read off again. Upstream converts whole objects instead, and compares them in every
version that has an entry.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podium.machinery.compare import CompareError, field_set, item_key
from podium.machinery.errors import Json, Object
from podium.machinery.fieldset import SELF, FieldSet, difference, is_member
from podium.machinery.shape import Shape

Convert = Callable[[Object], Object]
_DEDUCED = Shape(kind="any", go_type="interface {}")


def translated(
    fields: FieldSet, there: Object, shape_there: Shape, convert: Convert, shape: Shape
) -> FieldSet:
    """Return `fields` of the object `there`, in the terms of the version that `convert` leads to.

    What cannot be told apart there comes as the whole that it is part of.
    """
    try:
        owned = field_set(_converted(extract(there, fields, shape_there), convert), shape)
        # What a conversion writes of itself belongs to nobody.
        return difference(owned, field_set(_converted({}, convert), shape))
    except CompareError:
        return fields


def _converted(part: Object, convert: Convert) -> Object:
    made = convert({**part, "metadata": part.get("metadata") or {}})
    return {key: value for key, value in made.items() if key not in ("apiVersion", "kind")}


def extract(value: Json, fields: FieldSet, shape: Shape) -> Any:
    """Return the parts of `value` that are in `fields`, with the keys of the list items that lead to them."""
    if isinstance(value, dict):
        return _extract_map(value, fields, shape)
    if isinstance(value, list) and shape.kind == "list" and shape.list_type != "atomic":
        return _extract_items(value, fields, shape)
    return value


def _extract_map(value: Object, fields: FieldSet, shape: Shape) -> Object:
    found: Object = {}
    for name, part in value.items():
        node = fields.get(f"f:{name}")
        if node is None:
            continue
        field = shape.fields.get(name)
        inner = field.shape if field is not None else shape.element or _DEDUCED
        whole = not node or inner.atomic or (field is not None and field.atomic)
        found[name] = part if whole else extract(part, node, inner)
    return found


def _extract_items(values: list[Json], fields: FieldSet, shape: Shape) -> list[Json]:
    element, found = shape.element or _DEDUCED, []
    for item in values:
        node = fields.get(item_key(item, shape))
        if node is None:
            continue
        if not isinstance(item, dict) or (is_member(node) and not set(node) - {SELF}):
            found.append(item)
            continue
        keys = {name: item[name] for name in shape.map_keys if name in item}
        found.append(keys | extract(item, node, element))
    return found
