"""Sizes, conversions and the methods of strings that the language itself has."""

from __future__ import annotations

import math
from typing import Any

from podium.machinery.cel.declarations import declare
from podium.machinery.cel.errors import NO_SUCH_OVERLOAD, CelRuntimeError
from podium.machinery.cel.library.patterns import matches
from podium.machinery.cel.values import (
    SECOND,
    Duration,
    Timestamp,
    TypeValue,
    Uint,
    checked_int,
    checked_timestamp,
    float_text,
    int64,
    parse_duration,
    parse_timestamp,
    type_name,
)


def size(value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def to_int(value: Any) -> int:
    if type(value) is int:
        return value
    if type(value) is Uint:
        return checked_int(int(value))
    if type(value) is float:
        # The bounds themselves are not exact in a double and are refused.
        if not math.isfinite(value) or value <= -(2.0**63) or value >= 2.0**63:
            raise CelRuntimeError("integer overflow")
        return int(value)
    if type(value) is Timestamp:
        return value.nanos // SECOND
    if type(value) is str:
        number = _integer(value)
        if number is not None and int64(number):
            return number
    raise _conversion(value, "int")


def to_uint(value: Any) -> Uint:
    if type(value) is Uint:
        return value
    if type(value) is int:
        if value < 0:
            raise CelRuntimeError("unsigned integer overflow")
        return Uint(value)
    if type(value) is float:
        if not math.isfinite(value) or value < 0 or value >= 2.0**64:
            raise CelRuntimeError("unsigned integer overflow")
        return Uint(int(value))
    if type(value) is str:
        number = _integer(value, signed=False)
        if number is not None and number < 2**64:
            return Uint(number)
    raise _conversion(value, "uint")


def _integer(text: str, *, signed: bool = True) -> int | None:
    digits = text[1:] if signed and text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 40:
        return None
    return -int(digits) if text[0] == "-" else int(digits)


def to_double(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) in (int, Uint):
        return float(value)
    if type(value) is str and "_" not in value and value == value.strip():
        try:
            return float(value)
        except ValueError:
            pass
    raise _conversion(value, "double")


def to_string(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in (int, Uint):
        return str(int(value))
    if type(value) is float:
        return float_text(value)
    if type(value) is bytes:
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise CelRuntimeError("invalid UTF-8 in bytes, cannot convert to string") from None
    if type(value) in (Duration, Timestamp):
        return str(value)
    if type(value) is TypeValue:
        return value.name
    text = getattr(value, "cel_text", None)
    if text is not None:
        return str(text)
    raise _conversion(value, "string")


def to_bytes(value: Any) -> bytes:
    if type(value) is bytes:
        return value
    if type(value) is str:
        return value.encode("utf-8", "surrogatepass")
    raise _conversion(value, "bytes")


_TRUE = frozenset(["1", "t", "T", "true", "TRUE", "True"])
_FALSE = frozenset(["0", "f", "F", "false", "FALSE", "False"])


def to_bool(value: Any) -> bool:
    if type(value) is bool:
        return value
    if type(value) is str and (value in _TRUE or value in _FALSE):
        return value in _TRUE
    raise _conversion(value, "bool")


def to_duration(value: Any) -> Duration:
    if type(value) is Duration:
        return value
    if type(value) is int:
        return Duration(value)
    if type(value) is str and (found := parse_duration(value)) is not None:
        return found
    raise _conversion(value, "google.protobuf.Duration")


def to_timestamp(value: Any) -> Timestamp:
    if type(value) is Timestamp:
        return value
    if type(value) is int:
        return checked_timestamp(value * SECOND)
    if type(value) is str and (found := parse_timestamp(value)) is not None:
        return found
    raise _conversion(value, "google.protobuf.Timestamp")


def _conversion(value: Any, wanted: str) -> CelRuntimeError:
    return CelRuntimeError(f"type conversion error from '{type_name(value)}' to '{wanted}'")


def to_type(value: Any) -> TypeValue:
    return TypeValue(type_name(value))


def to_dyn(value: Any) -> Any:
    return value


OVERLOADS = declare(
    [
        *(
            (id_, name, params, "int", size)
            for params, kind in (
                ("string", "string"),
                ("bytes", "bytes"),
                ("list(A)", "list"),
                ("map(A, B)", "map"),
            )
            for id_, name in ((f"size_{kind}", "size"), (f"{kind}_size", ".size"))
        ),
        *(
            (f"{kind}_to_int64", "int", kind, "int", to_int)
            for kind in ("int", "double", "string", "timestamp", "uint")
        ),
        ("duration_to_int64", "int", "duration", "int", lambda value: value.nanos),
        *(
            (f"{kind}_to_uint64", "uint", kind, "uint", to_uint)
            for kind in ("uint", "double", "int", "string")
        ),
        *(
            (f"{kind}_to_double", "double", kind, "double", to_double)
            for kind in ("double", "int", "string", "uint")
        ),
        *(
            (f"{kind}_to_string", "string", kind, "string", to_string)
            for kind in (
                "string",
                "bool",
                "bytes",
                "double",
                "duration",
                "int",
                "timestamp",
                "uint",
                "IP",
                "CIDR",
            )
        ),
        *((f"{kind}_to_bytes", "bytes", kind, "bytes", to_bytes) for kind in ("bytes", "string")),
        *((f"{kind}_to_bool", "bool", kind, "bool", to_bool) for kind in ("bool", "string")),
        *(
            (f"{kind}_to_duration", "duration", kind, "duration", to_duration)
            for kind in ("duration", "int", "string")
        ),
        *(
            (f"{kind}_to_timestamp", "timestamp", kind, "timestamp", to_timestamp)
            for kind in ("timestamp", "int", "string")
        ),
        ("type", "type", "A", "type(A)", to_type),
        ("to_dyn", "dyn", "A", "dyn", to_dyn),
        ("contains_string", ".contains", "string, string", "bool", lambda value, part: part in value),
        ("ends_with_string", ".endsWith", "string, string", "bool", str.endswith),
        ("starts_with_string", ".startsWith", "string, string", "bool", str.startswith),
        ("matches", "matches", "string, string", "bool", matches),
        ("matches_string", ".matches", "string, string", "bool", matches),
    ]
)
