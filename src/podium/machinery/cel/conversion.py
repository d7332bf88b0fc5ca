"""From values as they stand on the wire to those that expressions compute with, by type."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from podium.machinery.cel.errors import CelRuntimeError
from podium.machinery.cel.frame import Convert
from podium.machinery.cel.types import Type
from podium.machinery.cel.values import (
    MapList,
    Optional,
    SetList,
    parse_date,
    parse_duration,
    parse_timestamp,
)


def converter(type_: Type) -> Convert | None:
    """Return what makes CEL's value of the wire's; None when they are the same."""
    match type_.kind:
        case "double":
            return lambda value: float(value) if type(value) is int else value
        case "bytes":
            return _from_base64
        case "duration":
            return lambda value: _parsed(parse_duration, value, "duration")
        case "timestamp":
            if type_.elements_max == 12:
                return lambda value: _parsed(parse_date, value, "date")
            return lambda value: _parsed(parse_timestamp, value, "date-time")
        case "list":
            return _list_converter(type_)
        case "map":
            inner = converter(type_.element)
            if inner is None:
                return None
            return lambda value: _each_value(inner, value)
        case "optional":
            inside = converter(type_.params[0])
            if inside is None:
                return None
            return lambda value: _inside(inside, value)
    return None


def _inside(convert: Convert, value: Any) -> Any:
    return Optional(convert(value.value())) if isinstance(value, Optional) and value.present else value


def _each_value(convert: Convert, value: Any) -> Any:
    return {key: convert(item) for key, item in value.items()} if isinstance(value, dict) else value


def _list_converter(type_: Type) -> Convert | None:
    inner = converter(type_.element)
    if type_.list_type == "set":
        return lambda value: (
            SetList(map(inner, value) if inner else value) if isinstance(value, list) else value
        )
    if type_.list_type == "map":
        keys = type_.map_keys
        return lambda value: MapList(value, keys) if isinstance(value, list) else value
    if inner is None:
        return None
    return lambda value: [inner(item) for item in value] if isinstance(value, list) else value


def _from_base64(value: Any) -> Any:
    if type(value) is not str:
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise CelRuntimeError(f"Invalid base64 {value!r}") from None


def _parsed(parse: Callable[[str], Any], value: Any, format_: str) -> Any:
    if type(value) is not str:
        return value
    found = parse(value)
    if found is None:
        raise CelRuntimeError(f"Invalid {format_} {value}")
    return found
