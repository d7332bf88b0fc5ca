"""What a call costs at run time, in upstream's units: one for a step, a tenth for a character gone over.

Upstream's numbers decide which expressions are stopped, so they are kept to the letter, oddities included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

from podium.machinery.cel.library.formats import Format
from podium.machinery.cel.values import Duration, Optional, Timestamp, kind_of

LIST_COST, MAP_COST, STRUCT_COST = 10, 30, 40
CHARACTER_COST = 0.1
PATTERN_COST = 0.25
CHECK_COST = 350_000

Cost = Callable[[Sequence[Any], Any], int]

_TRAVERSED_LISTS = frozenset(["isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"])
_TRAVERSED = frozenset(
    [
        "url",
        "lowerAscii",
        "upperAscii",
        "substring",
        "trim",
        "jsonpatch.escapeKey",
        "cidr",
        "isIP",
        "isCIDR",
        "quantity",
        "isQuantity",
        "semver",
        "isSemver",
    ]
)
_TRAVERSED_OVERLOADS = frozenset(
    [
        "starts_with_string",
        "ends_with_string",
        "string_to_bytes",
        "bytes_to_string",
        "strings_quote",
        "string_format",
        "string_to_ip",
    ]
)
_COMPARED = frozenset(
    f"{name}_{kind}"
    for name in ("less", "less_equals", "greater", "greater_equals")
    for kind in ("string", "bytes")
) | {"equals", "not_equals"}
_CONSTANT_EQUALITY = frozenset(
    [
        "kubernetes.Quantity",
        "net.IP",
        "net.CIDR",
        "kubernetes.NamedFormat",
        "kubernetes.URL",
        "kubernetes.Semver",
    ]
)


def cost_of(function: str, overload: str) -> Cost | None:
    """Return how a call's cost is reckoned; None: it costs one.

    `overload` is empty when it is known only at run time.
    """
    if function in _TRAVERSED_LISTS:
        return lambda args, _: traversal(args[0])
    if function in _TRAVERSED or overload in _TRAVERSED_OVERLOADS:
        return lambda args, _: characters(size(args[0]))
    found = _FUNCTIONS.get(function)
    if found is not None:
        return found
    if overload in _COMPARED:
        return _compared
    return _OVERLOADS.get(overload)


def size(value: Any) -> int:
    """Return the length of what has one; anything else counts as one."""
    if isinstance(value, Optional):
        return size(value.value()) if value.present else 1
    try:
        return len(value)
    except TypeError:
        return 1


def characters(count: int) -> int:
    """Return ceil(count * 0.1) as upstream's floating-point arithmetic has it."""
    return ceil(count * CHARACTER_COST)


def traversal(value: Any) -> int:
    """Return the cost of going over a whole tree of values. Texts are not rounded up here."""
    if isinstance(value, str):
        return int(len(value.encode("utf-8", "surrogatepass")) * CHARACTER_COST)
    if isinstance(value, bytes):
        return int(len(value) * CHARACTER_COST)
    if isinstance(value, list):
        return sum(map(traversal, value))
    if isinstance(value, dict):
        return sum(traversal(key) + traversal(element) for key, element in value.items())
    return 1


def _compared(args: Sequence[Any], _: Any) -> int:
    left, right = args
    if isinstance(left, int | float | Duration | Timestamp) or left is None:
        return 0 if isinstance(right, str | bytes | list | dict) and not right else 1
    if kind_of(left) in _CONSTANT_EQUALITY:
        return 1
    return characters(min(size(left), size(right)))


def _pattern(args: Sequence[Any], _: Any) -> int:
    return ceil((1.0 + size(args[0])) * CHARACTER_COST) * ceil(size(args[1]) * PATTERN_COST)


def _contains(args: Sequence[Any], _: Any) -> int:
    return characters(size(args[0])) * characters(size(args[1]))


def _added(args: Sequence[Any], _: Any) -> int:
    return characters(size(args[0]) + size(args[1]))


def _twice(args: Sequence[Any], _: Any) -> int:
    return ceil(size(args[0]) * 2 * CHARACTER_COST)


def _joined(_: Sequence[Any], result: Any) -> int:
    return ceil(size(result) * 2 * CHARACTER_COST)


def _contains_ip(args: Sequence[Any], _: Any) -> int:
    cost = characters(2 * size(args[0]))
    return cost + characters(size(args[1])) if isinstance(args[1], str) else cost


def _contains_cidr(args: Sequence[Any], _: Any) -> int:
    return _contains_ip(args, None) + characters(size(args[0])) + 1


def _validated(args: Sequence[Any], _: Any) -> int:
    if not isinstance(args[0], Format):
        return 1
    return ceil((1.0 + size(args[1])) * CHARACTER_COST) * ceil(args[0].pattern_size * PATTERN_COST)


def _selector(args: Sequence[Any], _: Any) -> int:
    return selector(size(args[1]))


def selector(length: int) -> int:
    """Return the cost of parsing a selector: at worst, every second character begins a requirement."""
    return LIST_COST + characters(length) + ceil(ceil(length * 0.5) * float(LIST_COST + STRUCT_COST))


def _self_compared(position: int) -> Cost:
    def cost(args: Sequence[Any], _: Any) -> int:
        values = args[position]
        factor = 2.0 + CHARACTER_COST if values and isinstance(values[0], str | bytes) else 2.0
        return int(len(values) ** 2 * factor) + 1 + LIST_COST

    return cost


def _flattened(args: Sequence[Any], _: Any) -> int:
    return int(size(args[0]) * float(args[1] if len(args) == 2 else 1)) + 1 + LIST_COST


def _output(_: Sequence[Any], result: Any) -> int:
    return size(result) + 1 + LIST_COST


def _sets(factor: int) -> Cost:
    return lambda args, _: 1 + size(args[0]) * size(args[1]) * factor


_FUNCTIONS: dict[str, Cost] = {
    "_[?_]": lambda _, result: int(isinstance(result, Optional) and result.present),
    "check": lambda _, __: CHECK_COST,
    "fieldSelector": _selector,
    "labelSelector": _selector,
    "replace": _twice,
    "split": _twice,
    "ip.isCanonical": _twice,
    "join": _joined,
    "find": _pattern,
    "findAll": _pattern,
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "validate": _validated,
    "slice": _output,
    "lists.range": _output,
    "reverse": _output,
    "flatten": _flattened,
    "distinct": _self_compared(0),
    "sort": _self_compared(0),
    "@sortByAssociatedKeys": _self_compared(1),
    "sets.contains": _sets(1),
    "sets.intersects": _sets(1),
    "sets.equivalent": _sets(2),
}
_OVERLOADS: dict[str, Cost] = {
    "in_list": lambda args, _: size(args[1]),
    "add_string": _added,
    "add_bytes": _added,
    "matches": _pattern,
    "matches_string": _pattern,
    "contains_string": _contains,
}
