"""Which fields differ between two objects, and which fields an object has: by schema, as field sets.

This follows upstream's structured-merge-diff: atomic lists and maps are one field, associative lists are
compared item by item by their keys, and an absent container that appears counts itself as well as its parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from podium.machinery.errors import Json, Object
from podium.machinery.fieldset import SELF, FieldSet
from podium.machinery.golang import plain
from podium.machinery.shape import ZERO, Shape

_ABSENT: Any = object()
_LEAF: FieldSet = {}
_DEDUCED = Shape(kind="any", go_type="interface {}")
"""What is unknown: maps are merged, lists are atomic."""


class CompareError(ValueError):
    """An object does not fit its schema's list keys. The message is upstream's."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths that were added or got another value, and paths that were removed."""

    changed: FieldSet
    removed: FieldSet

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)


def compare(old: Object, new: Object, shape: Shape) -> Difference:
    """Return what one object has other than another. Equal parts are passed over quickly."""
    changed, removed = _compare(old, new, shape, False)
    return Difference(changed or {}, removed or {})


_Result = tuple[FieldSet | None, FieldSet | None]
_SAME: _Result = (None, None)
_CHANGED: _Result = (_LEAF, None)


def _compare(old: Json, new: Json, shape: Shape, atomic: bool) -> _Result:
    """Return the changed and the removed subtree of one value, None for an empty one."""
    if old is _ABSENT:
        return _whole(new, shape, atomic), None
    if new is _ABSENT:
        return None, _whole(old, shape, atomic)
    if old is new or _equal(old, new):
        return _SAME
    is_map = _is_map(old, new, shape)
    is_list = not is_map and shape.kind == "list"
    if atomic or shape.atomic or not (is_map or is_list) or not (old or new):
        return _CHANGED
    changed: FieldSet = {}
    removed: FieldSet = {}
    if is_map:
        _compare_maps(old, new, shape, changed, removed)
    else:
        _compare_lists(old, new, shape, changed, removed)
    return changed or None, removed or None


def _whole(value: Json, shape: Shape, atomic: bool) -> FieldSet:
    """Return the subtree of a value that one side has and the other has not: itself and all its parts."""
    if atomic or shape.atomic or not value:
        return _LEAF
    if value.__class__ is dict:
        tree: FieldSet = {SELF: _LEAF}
        fields, element = shape.fields, shape.element or _DEDUCED
        for name, part in value.items():
            field = fields.get(name)
            if part.__class__ is str:
                tree[f"f:{name}"] = _LEAF
            elif field is None:
                tree[f"f:{name}"] = _whole(part, element, False)
            else:
                tree[f"f:{name}"] = _whole(part, field.shape, field.atomic)
        return tree
    if value.__class__ is list and shape.kind == "list":
        tree = {SELF: _LEAF}
        element = shape.element or _DEDUCED
        for key, items in _by_key(value, shape).items():
            tree[key] = _whole(items[0], element, False) if len(items) == 1 else _LEAF
        return tree
    return _LEAF


def _equal(old: Json, new: Json) -> bool:
    # In Python True == 1; on the wire they never stand for the same typed field, so this is safe here.
    return bool(old == new)


def _is_map(old: Json, new: Json, shape: Shape) -> bool:
    if shape.kind in ("struct", "map"):
        return True
    if shape.kind != "any":
        return False
    values = [value for value in (old, new) if value is not None]
    return bool(values) and all(isinstance(value, dict) for value in values)


def _compare_maps(old: Json, new: Json, shape: Shape, changed: FieldSet, removed: FieldSet) -> None:
    before, after = old or {}, new or {}
    for value in (before, after):
        if value.__class__ is not dict:
            raise CompareError(f"expected map, got &{{{plain(value)}}}")
    fields, element = shape.fields, shape.element or _DEDUCED
    for name, value in after.items():
        previous = before.get(name, _ABSENT)
        if previous is value:
            continue
        field = fields.get(name)
        inner, atomic = (element, False) if field is None else (field.shape, field.atomic)
        if previous is _ABSENT:
            changed[f"f:{name}"] = _whole(value, inner, atomic)
            continue
        more, less = _compare(previous, value, inner, atomic)
        if more is not None:
            changed[f"f:{name}"] = more
        if less is not None:
            removed[f"f:{name}"] = less
    for name, value in before.items():
        if name in after:
            continue
        field = fields.get(name)
        inner, atomic = (element, False) if field is None else (field.shape, field.atomic)
        removed[f"f:{name}"] = _whole(value, inner, atomic)


def _compare_lists(old: Json, new: Json, shape: Shape, changed: FieldSet, removed: FieldSet) -> None:
    element = shape.element or _DEDUCED
    before, after = _by_key(old, shape), _by_key(new, shape)
    for key in dict.fromkeys([*before, *after]):
        mine, theirs = before.get(key, ()), after.get(key, ())
        if len(mine) >= 2 and len(theirs) >= 2:
            if mine != theirs:
                changed[key] = _LEAF
            continue
        more, less = _compare(
            mine[0] if len(mine) == 1 else _ABSENT, theirs[0] if len(theirs) == 1 else _ABSENT, element, False
        )
        # Items that share one key are owned as a whole, under that key.
        if len(mine) >= 2:
            less = _LEAF
        if len(theirs) >= 2:
            more = _LEAF
        if more is not None:
            changed[key] = more
        if less is not None:
            removed[key] = less


def _by_key(values: Json, shape: Shape) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    if values and values.__class__ is not list:
        raise CompareError(f"expected list, got &{{{plain(values)}}}")
    for value in values or ():
        found.setdefault(item_key(value, shape), []).append(value)
    return found


def item_key(value: Json, shape: Shape) -> str:
    """Return the path element of an item of a set or an associative list. Raises `CompareError`."""
    if shape.list_type == "set":
        if isinstance(value, dict | list) or value is None:
            raise CompareError(_no_element_of_a_set(value))
        return "v:" + orjson.dumps(value).decode()
    if not isinstance(value, dict):
        elements = "a null element" if value is None else "non-map elements"
        raise CompareError(f"associative list with keys may not have {elements}")
    if len(shape.map_keys) == 1:
        only = value.get(shape.map_keys[0])
        if only is not None:
            return f'k:{{"{shape.map_keys[0]}":{orjson.dumps(only).decode()}}}'
    keys = {}
    for name in shape.map_keys:
        if value.get(name) is not None:
            keys[name] = value[name]
        else:
            default = _key_default(name, shape)
            if default is not None:
                keys[name] = default
    if not keys:
        names = " ".join(f'"{name}"' for name in shape.map_keys)
        raise CompareError(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def _no_element_of_a_set(value: Json) -> str:
    if isinstance(value, dict):
        return "associative list without keys has an element that's a map type"
    if isinstance(value, list):
        return "not supported: associative list with lists as elements"
    return "associative list without keys has an element that's an explicit null"


def _key_default(name: str, shape: Shape) -> Json:
    """Return what a key is taken for where an element leaves it out; None where it has to be there."""
    if name in shape.key_defaults:
        return shape.key_defaults[name]
    field = shape.element.fields.get(name) if shape.element is not None else None
    return ZERO[field.shape.kind] if field is not None and field.always else None


def field_set(value: Json, shape: Shape, *, atomic: bool = False) -> FieldSet:
    """Return the paths that an object has: what applying it would own."""
    tree: FieldSet = {}
    if isinstance(value, dict) and not (atomic or shape.atomic):
        for name, part in value.items():
            field = shape.fields.get(name)
            inner = field.shape if field is not None else shape.element or _DEDUCED
            node = _owned(part, inner, field is not None and field.atomic)
            # Of a structure's containers only the parts are owned; of a map's, the entry too.
            if field is None and node != _LEAF and SELF not in (node or ()):
                node = {SELF: _LEAF, **node} if node else _LEAF
            if node is not None:
                tree[f"f:{name}"] = node
    return tree


def _owned(value: Json, shape: Shape, atomic: bool) -> FieldSet | None:
    """Return the subtree of one value: None where it owns nothing, not even itself."""
    if atomic or shape.atomic or value is None:
        return _LEAF
    if isinstance(value, dict):
        return (field_set(value, shape) or None) if value else _LEAF
    if isinstance(value, list):
        if shape.kind != "list" or shape.list_type == "atomic":
            return _LEAF
        tree = dict(_owned_items(value, shape))
        return tree or None
    return _LEAF


def _owned_items(values: list[Json], shape: Shape) -> Iterator[tuple[str, FieldSet]]:
    element = shape.element or _DEDUCED
    for key, items in _by_key(values, shape).items():
        if len(items) > 1:
            yield key, _LEAF
            continue
        node = _owned(items[0], element, False)
        if node:
            yield key, node if SELF in node else {SELF: _LEAF, **node}
        else:
            yield key, _LEAF
