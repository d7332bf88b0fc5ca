"""Functions of lists and of lists as sets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from itertools import pairwise
from typing import Any

from podium.machinery.cel.declarations import declare
from podium.machinery.cel.errors import CelRuntimeError, CostExceeded
from podium.machinery.cel.library.operators import add
from podium.machinery.cel.values import Duration, Uint, compare, contains, equal

LENGTH_MAX = 10_000_000
_ZERO: dict[str, Any] = {"int": 0, "uint": Uint(0), "double": 0.0, "duration": Duration(0)}


def is_sorted(values: list[Any]) -> bool:
    return all(compare(one, two) <= 0 for one, two in pairwise(values))


def _sum(zero: Any) -> Callable[[list[Any]], Any]:
    def total(values: list[Any]) -> Any:
        result = zero
        # A list whose type is known only now says itself what it adds up to.
        if values and type(values[0]) is not type(zero):
            result, values = values[0], values[1:]
        for value in values:
            result = add(result, value)
        return result

    return total


def _best(name: str, sign: int) -> Callable[[list[Any]], Any]:
    def best(values: list[Any]) -> Any:
        if not values:
            raise CelRuntimeError(f"{name} called on empty list")
        result = values[0]
        for value in values[1:]:
            if compare(result, value) == sign:
                result = value
        return result

    return best


def index_of(values: list[Any], wanted: Any) -> int:
    return next((at for at, value in enumerate(values) if equal(value, wanted)), -1)


def last_index_of(values: list[Any], wanted: Any) -> int:
    return next((at for at in range(len(values) - 1, -1, -1) if equal(values[at], wanted)), -1)


def slice_(values: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise CelRuntimeError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise CelRuntimeError(
            f"cannot slice({start}, {end}), start index must be less than or equal to end index"
        )
    if end > len(values):
        raise CelRuntimeError(f"cannot slice({start}, {end}), list is length {len(values)}")
    return values[start:end]


def flatten(values: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelRuntimeError("level must be non-negative")
    flat = list(values)
    while depth > 0 and any(isinstance(value, list) for value in flat):
        flat = [inner for value in flat for inner in (value if isinstance(value, list) else [value])]
        if len(flat) > LENGTH_MAX:
            raise CostExceeded
        depth -= 1
    return flat


def range_(count: int) -> list[int]:
    if count > LENGTH_MAX:
        raise CostExceeded
    return list(range(count))


def distinct(values: list[Any]) -> list[Any]:
    seen: list[Any] = []
    for value in values:
        if not contains(seen, value):
            seen.append(value)
    return seen


def sort(values: list[Any]) -> list[Any]:
    return sort_by(values, values)


def sort_by(values: list[Any], keys: list[Any]) -> list[Any]:
    """Return the values in the order of their keys."""
    if any(type(key) is not type(keys[0]) for key in keys[1:]):
        raise CelRuntimeError("list elements must have the same type")
    for key in keys[:1]:
        if isinstance(key, list | dict) or key is None:
            raise CelRuntimeError("list elements must be comparable")

    def in_order(one: int, two: int) -> int:
        return compare(keys[one], keys[two])

    order = sorted(range(len(values)), key=cmp_to_key(in_order))
    return [values[at] for at in order]


def sets_contains(whole: list[Any], part: list[Any]) -> bool:
    return all(contains(whole, value) for value in part)


def sets_equivalent(one: list[Any], two: list[Any]) -> bool:
    return sets_contains(one, two) and sets_contains(two, one)


def sets_intersects(one: list[Any], two: list[Any]) -> bool:
    return any(contains(two, value) for value in one)


_COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")

OVERLOADS = [
    *declare(
        [
            *(
                (f"list_{kind}_is_sorted_bool", ".isSorted", f"list({kind})", "bool", is_sorted)
                for kind in _COMPARABLE
            ),
            *(
                (f"list_{kind}_sum_{kind}", ".sum", f"list({kind})", kind, _sum(_ZERO[kind]))
                for kind in _ZERO
            ),
            *(
                (f"list_{kind}_max_{kind}", ".max", f"list({kind})", kind, _best("max", -1))
                for kind in _COMPARABLE
            ),
            *(
                (f"list_{kind}_min_{kind}", ".min", f"list({kind})", kind, _best("min", 1))
                for kind in _COMPARABLE
            ),
            ("list_a_index_of_int", ".indexOf", "list(A), A", "int", index_of),
            ("list_a_last_index_of_int", ".lastIndexOf", "list(A), A", "int", last_index_of),
        ]
    ),
    *declare(
        [
            ("list_sets_contains_list", "sets.contains", "list(T), list(T)", "bool", sets_contains),
            ("list_sets_equivalent_list", "sets.equivalent", "list(T), list(T)", "bool", sets_equivalent),
            ("list_sets_intersects_list", "sets.intersects", "list(T), list(T)", "bool", sets_intersects),
        ],
        since=29,
    ),
    *declare(
        [
            ("list_slice", ".slice", "list(T), int, int", "list(T)", slice_),
            ("list_flatten", ".flatten", "list(list(T))", "list(T)", flatten),
            ("list_flatten_int", ".flatten", "list(dyn), int", "list(dyn)", flatten),
            ("lists_range", "lists.range", "int", "list(int)", range_),
            ("list_reverse", ".reverse", "list(T)", "list(T)", lambda values: values[::-1]),
            ("list_distinct", ".distinct", "list(T)", "list(T)", distinct),
            *((f"list_{kind}_sort", ".sort", f"list({kind})", f"list({kind})", sort) for kind in _COMPARABLE),
            *(
                (
                    f"list_{kind}_sortByAssociatedKeys",
                    ".@sortByAssociatedKeys",
                    f"list(T), list({kind})",
                    "list(T)",
                    sort_by,
                )
                for kind in _COMPARABLE
            ),
        ],
        since=34,
    ),
]
