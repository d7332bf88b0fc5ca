"""The operators. Each works on any values and fails with "no such overload" where CEL has none for them."""

from __future__ import annotations

import math
from typing import Any

from podium.machinery.cel.declarations import Row, declare
from podium.machinery.cel.errors import NO_SUCH_OVERLOAD, CelRuntimeError
from podium.machinery.cel.values import (
    Duration,
    Optional,
    Timestamp,
    Uint,
    added,
    checked_duration,
    checked_int,
    checked_timestamp,
    checked_uint,
    compare,
    contains,
    equal,
    is_nan,
    type_name,
)


def add(left: Any, right: Any) -> Any:
    one, two = type(left), type(right)
    if one is two:
        if one is int:
            return checked_int(left + right)
        if one is str or one is float or one is bytes:
            return left + right
        if one is Uint:
            return checked_uint(int(left) + int(right))
        if one is Duration:
            return checked_duration(left.nanos + right.nanos)
    if isinstance(left, list) and isinstance(right, list):
        return added(left, right)
    if (one is Timestamp and two is Duration) or (one is Duration and two is Timestamp):
        return checked_timestamp(left.nanos + right.nanos)
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def subtract(left: Any, right: Any) -> Any:
    one, two = type(left), type(right)
    if one is two:
        if one is int:
            return checked_int(left - right)
        if one is float:
            return left - right
        if one is Uint:
            return checked_uint(int(left) - int(right))
        if one is Duration or one is Timestamp:
            return checked_duration(left.nanos - right.nanos)
    if one is Timestamp and two is Duration:
        return checked_timestamp(left.nanos - right.nanos)
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def multiply(left: Any, right: Any) -> Any:
    one = type(left)
    if one is type(right):
        if one is int:
            return checked_int(left * right)
        if one is float:
            return left * right
        if one is Uint:
            return checked_uint(int(left) * int(right))
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def divide(left: Any, right: Any) -> Any:
    one = type(left)
    if one is type(right):
        if one is int or one is Uint:
            if right == 0:
                raise CelRuntimeError("division by zero")
            # Towards zero, where Python's // goes down.
            result = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
            return checked_int(result) if one is int else Uint(result)
        if one is float:
            return _divide_floats(left, right)
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def _divide_floats(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


def modulo(left: Any, right: Any) -> Any:
    one = type(left)
    if one is type(right) and (one is int or one is Uint):
        if right == 0:
            raise CelRuntimeError("modulus by zero")
        result = abs(left) % abs(right)
        return one(-result if left < 0 else result)
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def negate(value: Any) -> Any:
    if type(value) is int:
        return checked_int(-value)
    if type(value) is float:
        return -value
    if type(value) is Duration:
        return checked_duration(-value.nanos)
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def negation(value: Any) -> bool:
    if type(value) is bool:
        return not value
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def less(left: Any, right: Any) -> bool:
    return not is_nan(left) and not is_nan(right) and compare(left, right) < 0


def less_or_equal(left: Any, right: Any) -> bool:
    return not is_nan(left) and not is_nan(right) and compare(left, right) <= 0


def greater(left: Any, right: Any) -> bool:
    return not is_nan(left) and not is_nan(right) and compare(left, right) > 0


def greater_or_equal(left: Any, right: Any) -> bool:
    return not is_nan(left) and not is_nan(right) and compare(left, right) >= 0


def not_equal(left: Any, right: Any) -> bool:
    return not equal(left, right)


def is_in(element: Any, container: Any) -> bool:
    if isinstance(container, list):
        return contains(container, element)
    if isinstance(container, dict):
        return has_key(container, element)
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def has_key(container: dict[Any, Any], key: Any) -> bool:
    if type(key) is str:
        return key in container
    if type(key) is bool or isinstance(key, int | float):
        # Python takes True, 1 and 1.0 for the same key; CEL takes 1 and 1.0, but not true.
        return any(found == key and (type(found) is bool) == (type(key) is bool) for found in container)
    return False


def index(container: Any, key: Any) -> Any:
    if isinstance(container, dict):
        return at_key(container, key)
    if isinstance(container, list):
        return container[list_index(container, key)]
    if isinstance(container, Optional):
        return optional_index(container, key)
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def at_key(container: dict[Any, Any], key: Any) -> Any:
    if not has_key(container, key):
        raise CelRuntimeError(f"no such key: {key_text(key)}")
    return container[key]


def list_index(container: list[Any], key: Any) -> int:
    if type(key) is float and key.is_integer():
        key = int(key)
    if type(key) is bool or not isinstance(key, int):
        raise CelRuntimeError(f"unsupported index type '{type_name(key)}' in list")
    if not 0 <= key < len(container):
        raise CelRuntimeError(f"index out of bounds: {key}")
    return key


def optional_index(container: Any, key: Any) -> Optional:
    """`container[?key]`: none where the key or the container is missing."""
    if isinstance(container, Optional):
        if not container.present:
            return container
        container = container.value()
    if isinstance(container, dict):
        return Optional(container[key]) if has_key(container, key) else Optional()
    if isinstance(container, list):
        number = int(key) if type(key) is float and key.is_integer() else key
        if type(number) is bool or not isinstance(number, int):
            raise CelRuntimeError(f"unsupported index type '{type_name(key)}' in list")
        return Optional(container[number]) if 0 <= number < len(container) else Optional()
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def key_text(key: Any) -> str:
    return str(key).lower() if type(key) is bool else str(key)


def _logic(*_: Any) -> Any:
    raise AssertionError("&&, || and ?: are evaluated by the compiler, which may leave out an operand")


_IDS = {"int": "int64", "uint": "uint64"}
_NUMBERS = ("int", "uint", "double")
_ORDERED = ("bool", *_NUMBERS, "string", "bytes", "timestamp", "duration")


def _arithmetic() -> list[Row]:
    rows: list[Row] = []
    for id_, name, run, kinds in (
        ("add", "_+_", add, (*_NUMBERS, "string", "bytes")),
        ("subtract", "_-_", subtract, _NUMBERS),
        ("multiply", "_*_", multiply, _NUMBERS),
        ("divide", "_/_", divide, _NUMBERS),
        ("modulo", "_%_", modulo, ("int", "uint")),
    ):
        rows += [(f"{id_}_{_IDS.get(kind, kind)}", name, f"{kind}, {kind}", kind, run) for kind in kinds]
    return rows


def _comparisons() -> list[Row]:
    rows: list[Row] = []
    for id_, name, run in (
        ("less", "_<_", less),
        ("less_equals", "_<=_", less_or_equal),
        ("greater", "_>_", greater),
        ("greater_equals", "_>=_", greater_or_equal),
    ):
        rows += [(f"{id_}_{_IDS.get(kind, kind)}", name, f"{kind}, {kind}", "bool", run) for kind in _ORDERED]
        rows += [
            (f"{id_}_{_IDS.get(one, one)}_{_IDS.get(two, two)}", name, f"{one}, {two}", "bool", run)
            for one in _NUMBERS
            for two in _NUMBERS
            if one != two
        ]
    return rows


OVERLOADS = declare(
    [
        *_arithmetic(),
        *_comparisons(),
        ("add_list", "_+_", "list(A), list(A)", "list(A)", add),
        ("add_duration_duration", "_+_", "duration, duration", "duration", add),
        ("add_duration_timestamp", "_+_", "duration, timestamp", "timestamp", add),
        ("add_timestamp_duration", "_+_", "timestamp, duration", "timestamp", add),
        ("subtract_duration_duration", "_-_", "duration, duration", "duration", subtract),
        ("subtract_timestamp_duration", "_-_", "timestamp, duration", "timestamp", subtract),
        ("subtract_timestamp_timestamp", "_-_", "timestamp, timestamp", "duration", subtract),
        ("negate_int64", "-_", "int", "int", negate),
        ("negate_double", "-_", "double", "double", negate),
        ("negate_duration", "-_", "duration", "duration", negate),
        ("logical_not", "!_", "bool", "bool", negation),
        ("logical_and", "_&&_", "bool, bool", "bool", _logic),
        ("logical_or", "_||_", "bool, bool", "bool", _logic),
        ("conditional", "_?_:_", "bool, A, A", "A", _logic),
        ("equals", "_==_", "A, A", "bool", equal),
        ("not_equals", "_!=_", "A, A", "bool", not_equal),
        ("in_list", "@in", "A, list(A)", "bool", is_in),
        ("in_map", "@in", "A, map(A, B)", "bool", is_in),
        ("index_list", "_[_]", "list(A), int", "A", index),
        ("index_map", "_[_]", "map(A, B), A", "B", index),
        ("optional_list_index_int", "_[_]", "optional(list(V)), int", "optional(V)", optional_index),
        ("optional_map_index_value", "_[_]", "optional(map(K, V)), K", "optional(V)", optional_index),
        ("list_optindex_optional_int", "_[?_]", "list(V), int", "optional(V)", optional_index),
        (
            "optional_list_optindex_optional_int",
            "_[?_]",
            "optional(list(V)), int",
            "optional(V)",
            optional_index,
        ),
        ("map_optindex_optional_value", "_[?_]", "map(K, V), K", "optional(V)", optional_index),
        (
            "optional_map_optindex_optional_value",
            "_[?_]",
            "optional(map(K, V)), K",
            "optional(V)",
            optional_index,
        ),
    ]
)
