"""How upstream's language prints values, where its messages show them."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podium.machinery.errors import Json

_EXACT_MAX = 1e21
"""Floats from here on have an exponent in JSON."""


def number(value: float) -> str:
    """Return a number as `%v` prints it: `2`, `1.5`, `1e+06`, `1e-07`."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    decimal = Decimal(repr(value)).normalize()
    exponent = decimal.adjusted()
    if value == 0 or -5 < exponent < 6:
        return format(decimal, "f")
    sign, digits, _ = decimal.as_tuple()
    first, *rest = map(str, digits)
    mantissa = f"{first}.{''.join(rest)}" if rest else first
    return f"{'-' if sign else ''}{mantissa}e{exponent:+03d}"


def as_map(value: Json) -> Json:
    """Return a value decoded without a schema as it is printed: with its keys in order."""
    match value:
        case list():
            return [as_map(part) for part in value]
        case dict():
            return {key: as_map(value[key]) for key in sorted(value)}
        case _:
            return value


def as_json(value: Json) -> Json:
    """Return a copy of a value in which numbers without a fraction are integers, as JSON shows them."""
    match value:
        case float():
            return int(value) if value == int(value) and abs(value) < _EXACT_MAX else value
        case list():
            return [as_json(part) for part in value]
        case dict():
            return {key: as_json(part) for key, part in value.items()}
        case _:
            return value


def found_kind(value: Json) -> str:
    """Return what Go's JSON decoder calls a value it did not expect."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return "number"


def plain(value: Json) -> str:
    """Return a value as `%v` prints it: `map[image:two name:c]`."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case dict():
            return "map[" + " ".join(f"{key}:{plain(value[key])}" for key in sorted(value)) + "]"
        case list():
            return "[" + " ".join(map(plain, value)) + "]"
        case float():
            return number(value)
        case _:
            return str(value)


def as_text(value: Json) -> str:
    """Return a value as `%s` prints it, which is for text: `%!s(int64=1)`."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return plain(value)
    return "%!s(<nil>)" if value is None else f"%!s({type_name(value)}={plain(value)})"


def syntax(value: Json, key_type: str = "interface {}") -> str:
    """Return a value as `%#v` prints it: `[]interface {}{"a"}`. Maps that are made of YAML have any keys."""
    match value:
        case None:
            return "interface {}(nil)"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case dict():
            parts = (f"{syntax(key)}:{syntax(part, key_type)}" for key, part in sorted(value.items()))
            return f"map[{key_type}]interface {{}}{{" + ", ".join(parts) + "}"
        case list():
            return "[]interface {}{" + ", ".join(syntax(part, key_type) for part in value) + "}"
        case _:
            return plain(value)


def type_name(value: Json) -> str:
    """Return the Go type of a value decoded without a schema."""
    match value:
        case None:
            return "%!s(<nil>)"
        case bool():
            return "bool"
        case str():
            return "string"
        case dict():
            return "map[string]interface {}"
        case list():
            return "[]interface {}"
        case float():
            return "float64"
        case _:
            return "int64"
