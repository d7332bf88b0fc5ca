"""Numbers of custom resources: their ranges and multiples, and how they are kept.

Upstream reads a number without a fraction or an exponent as an integer if it is one of 64 bits, any other as
a float; what it writes has no fraction where there is none. Bounds are floats, which it makes integers for
integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.golang import number

ROOT: Final = "<nil>"
"""The path that upstream prints where its errors do not know theirs."""

INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)
_UINT64_MAX = 2**64 - 1
_INT32_MAX = 2**31 - 1
_FLOAT32_MAX = 3.4028234663852886e38
_WHOLE_MAX = 2**53 - 1
_EPSILON = 1e-9
_FORMATS = {"integer": ("int32", "int64"), "number": ("float", "double")}

Narrower = Callable[[Json], Json]


def is_whole(value: float) -> bool:
    """Whether upstream takes a number for an integer: nearly one, and not too large."""
    if not math.isfinite(value) or abs(value) > _WHOLE_MAX:
        return False
    rounded = math.floor(abs(value) + 0.5)
    difference = abs(abs(value) - rounded)
    return difference == 0 or (rounded != 0 and difference < _EPSILON * rounded)


def number_errors(value: float, schema: Object, types: tuple[str, ...], path: str) -> list[FieldError]:
    """Return what is wrong with a number, whatever type it should be of."""
    factor, most, least = schema.get("multipleOf"), schema.get("maximum"), schema.get("minimum")
    type = types[0] if len(types) == 1 and types[0] in _FORMATS else ""
    format = schema.get("format") if type and schema.get("format") in _FORMATS[type] else ""
    if factor is most is least is None and not type:
        return []
    check = _Check(value, type, format or "", path)
    errors = check.range(value, "Checked")
    if factor is not None:
        errors += check.multiple(factor)
    if least is not None:
        errors += check.least(least, exclusive=bool(schema.get("exclusiveMinimum")))
    if most is not None:
        errors += check.most(most, exclusive=bool(schema.get("exclusiveMaximum")))
    return errors


class _Check:
    """One number, which upstream has as an integer or as a float."""

    def __init__(self, value: float, type: str, format: str, path: str) -> None:
        self._value = value if INT64_MIN <= value <= INT64_MAX else float(value)
        self._type, self._format, self._path = type, format, path

    def range(self, value: float, what: str) -> list[FieldError]:
        """Check that a number, this one or a bound, is of the type. The error does not know its path."""
        if _in_range(value, self._type, self._format):
            return []
        format = f"with format {self._format}" if self._format else "(default format)"
        detail = f"{what} value must be of type {self._type} {format} in {self._path}"
        return [FieldError.invalid(ROOT, "", detail)]

    def _bound(self, bound: float, what: str) -> tuple[list[FieldError], float, float]:
        """Return errors, the value and the bound as they are compared."""
        errors = self.range(bound, what)
        if errors or isinstance(self._value, float):
            return errors, float(self._value), float(bound)
        whole = int(bound)
        return errors, self._value, whole if INT64_MIN <= whole <= INT64_MAX else INT64_MIN

    def _wrong(self, value: float, what: str) -> FieldError:
        return FieldError.invalid(self._path or ROOT, value, f"{self._path} in body should be {what}")

    def multiple(self, factor: float) -> list[FieldError]:
        errors, value, by = self._bound(factor, "MultipleOf")
        if by <= 0:
            detail = f"factor MultipleOf declared for {self._path} must be positive: {number(by)}"
            return [*errors, FieldError.invalid(self._path or ROOT, by, detail)]
        if isinstance(by, int):
            fits = value % by == 0
        else:
            fits = is_whole(1 / by * value if by < 1 else value / by)
        return errors if fits else [*errors, self._wrong(value, f"a multiple of {number(by)}")]

    def least(self, bound: float, *, exclusive: bool) -> list[FieldError]:
        errors, value, least = self._bound(bound, "Minimum boundary")
        if value > least or (value == least and not exclusive):
            return errors
        words = "greater than" if exclusive else "greater than or equal to"
        return [*errors, self._wrong(value, f"{words} {number(least)}")]

    def most(self, bound: float, *, exclusive: bool) -> list[FieldError]:
        errors, value, most = self._bound(bound, "Maximum boundary")
        if value < most or (value == most and not exclusive):
            return errors
        words = "less than" if exclusive else "less than or equal to"
        return [*errors, self._wrong(value, f"{words} {number(most)}")]


def _in_range(value: float, type: str, format: str) -> bool:
    if type == "integer":
        most = _INT32_MAX if format == "int32" else INT64_MAX
        if isinstance(value, float):
            # A float is as large as the fewest digits say that tell it from others.
            value = int(Decimal(repr(value))) if math.isfinite(value) and value == int(value) else math.inf
        return -most - 1 <= value <= most
    return format != "float" or abs(value) <= _FLOAT32_MAX


# --- keeping


def narrower(schema: Object, *, whole: bool = False) -> Narrower | None:
    """Return what makes numbers without a fraction integers in a value, in place, and returns it.

    None where no number can be.
    """
    if schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("x-kubernetes-embedded-resource"):
        return _narrowed
    if schema.get("type") in ("integer", "number") or schema.get("x-kubernetes-int-or-string"):
        return _narrow_number
    inner = {
        name: made
        for name, part in (schema.get("properties") or {}).items()
        if not (whole and name == "metadata") and (made := narrower(part)) is not None
    }
    others, items = schema.get("additionalProperties"), schema.get("items")
    if others is True:
        return _narrowed
    rest = narrower(others) if isinstance(others, dict) else None
    if inner or rest is not None:
        return _map_narrower(inner, rest)
    element = narrower(items) if isinstance(items, dict) else None
    return None if element is None else _list_narrower(element)


def _map_narrower(inner: dict[str, Narrower], rest: Narrower | None) -> Narrower:
    def narrow(value: Json) -> Json:
        if value.__class__ is dict:
            for name, below in inner.items():
                if name in value:
                    value[name] = below(value[name])
            if rest is not None:
                for name in value:
                    if name not in inner:
                        value[name] = rest(value[name])
        return value

    return narrow


def _list_narrower(element: Narrower) -> Narrower:
    def narrow(values: Json) -> Json:
        if values.__class__ is list:
            for index, value in enumerate(values):
                values[index] = element(value)
        return values

    return narrow


def _narrow_number(value: Json) -> Json:
    if value.__class__ is float and value.is_integer() and INT64_MIN <= value <= _UINT64_MAX:
        # Beyond 64 bits, as digits go that tell the float from others.
        return int(value) if abs(value) < _WHOLE_MAX else int(Decimal(repr(value)))
    if value.__class__ is int and value > INT64_MAX:
        return int(Decimal(repr(float(value))))
    return value


def _narrowed(value: Json) -> Json:
    """Narrow all numbers in a value."""
    if value.__class__ is dict:
        for name, part in value.items():
            value[name] = _narrowed(part)
    elif value.__class__ is list:
        for index, part in enumerate(value):
            value[index] = _narrowed(part)
    else:
        return _narrow_number(value)
    return value
