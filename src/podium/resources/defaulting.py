"""The few moves that filling in defaults is made of.

Upstream's types have pointers, where only absence is unset, and plain values, where the zero value is unset
too; `absent` and `blank` are these two. An optional plain value that is zero does not appear on the wire,
which `drop_zero` brings about.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery import quantity
from podium.machinery.errors import Json, Object

_MILLI = 10**6


def child(obj: Object, key: str) -> Object:
    """Return the object under `key`, putting an empty one there where there is none."""
    value = obj.get(key)
    if not isinstance(value, dict):
        value = obj[key] = {}
    return value


def given(obj: Object, key: str) -> Object | None:
    """Return the object under `key` if there is one."""
    value = obj.get(key)
    return value if isinstance(value, dict) else None


def items(obj: Object | None, key: str) -> Iterator[Object]:
    """Yield the objects of the list under `key`; nothing where there is no list."""
    values = obj.get(key) if obj else None
    if isinstance(values, list):
        yield from (value for value in values if isinstance(value, dict))


def absent(obj: Object, key: str, value: Json) -> None:
    """Set a pointer: only absence is unset."""
    if obj.get(key) is None:
        obj[key] = value


def blank(obj: Object, key: str, value: Json) -> None:
    """Set a plain value: absence and the zero value are unset."""
    if not obj.get(key):
        obj[key] = value


def drop_zero(obj: Object, *keys: str) -> None:
    """Remove optional plain values that are zero: they never appear on the wire."""
    for key in keys:
        if key in obj and not obj[key]:
            del obj[key]


def round_amounts(obj: Object | None, *keys: str) -> None:
    """Round the quantities in the maps under `keys` up to thousandths, the finest grain resources have."""
    for key in keys:
        amounts = given(obj or {}, key)
        for name, value in list((amounts or {}).items()):
            try:
                amount = quantity.parse(value)
            except (quantity.QuantityError, TypeError):
                continue
            if amount.nanos % _MILLI and amounts is not None:
                whole = -(-amount.nanos // _MILLI) * _MILLI
                amounts[name] = str(quantity.Quantity(whole, amount.format))
