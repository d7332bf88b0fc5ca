"""What single calls can cost, by function and overload: upstream's table, from the sizes of what is passed.

`costs.py` has the other half: what a call did cost, from the values themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from podium.machinery.cel.costs import CHARACTER_COST, CHECK_COST, LIST_COST, PATTERN_COST, STRUCT_COST
from podium.machinery.cel.spans import ANY, GREATEST, NOTHING, ONE, Span, fixed
from podium.machinery.cel.types import Type

FORMAT_NAME_MAX = 64
FORMAT_PATTERN_MAX = 128
_ADDRESS = Span(4, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """What is known of an argument or target. `element_size` is that of a list's elements."""

    type: Type
    size: Span | None
    literal: object = None
    element_size: Span | None = None

    @property
    def span(self) -> Span:
        return self.size if self.size is not None else ANY

    def whole_number(self, otherwise: int) -> int:
        """Return the literal number that the argument is."""
        return self.literal % 2**64 if type(self.literal) is int else otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The cost of a call without its arguments', and the size of its result where that is known."""

    cost: Span = ONE
    size: Span | None = None


_All = Callable[[str, Argument | None, Sequence[Argument]], Estimate | None]
_CHEAP = Estimate()


def call_estimate(
    function: str, overload: str, target: Argument | None, args: Sequence[Argument]
) -> Estimate:
    """Return what a call of the overload costs."""
    found = _LISTS.get(overload)
    if found is None:
        found = _FUNCTIONS.get(function)
    if found is not None and (estimate := found(overload, target, args)) is not None:
        return estimate
    if function == "_==_" and _is_compared_at_once(args):
        return _compared_at_once(args)
    standard = _OVERLOADS.get(overload)
    estimate = standard(overload, target, args) if standard is not None else None
    return estimate if estimate is not None else _CHEAP


def sort_estimate(keys: Span, kind: str) -> Span:
    """Return the cost of sorting by so many keys: each is compared with each."""
    factor = 2.0 + (CHARACTER_COST if kind in ("string", "bytes", "dyn") else 0)
    return _allocating(factor, keys * keys).cost


def _characters(span: Span) -> Span:
    return span.scaled(CHARACTER_COST)


# --- Kubernetes' functions


def _traversed_target(_: str, target: Argument | None, __: Sequence[Argument]) -> Estimate | None:
    if target is None:
        return None
    return Estimate(cost=_characters(target.span), size=target.span)


def _traversed(*, keeps_size: bool = False, factor: float = CHARACTER_COST) -> _All:
    def traversed(_: str, __: Argument | None, args: Sequence[Argument]) -> Estimate | None:
        if not args:
            return None
        return Estimate(cost=args[0].span.scaled(factor), size=args[0].span if keeps_size else None)

    return traversed


def _over_list(_: str, target: Argument | None, __: Sequence[Argument]) -> Estimate | None:
    if target is None:
        return None
    if not target.type.params:
        return Estimate(cost=_characters(target.span))
    each = ONE
    if target.type.params[0].kind in ("string", "bytes"):
        each += _characters(target.element_size if target.element_size is not None else ANY)
    return Estimate(cost=target.span * each)


def _replace(_: str, target: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if target is None or len(args) < 2:
        return None
    whole, old, new = target.span, args[0].span, args[1].span
    # The longest result has the shortest parts replaced by the longest, the shortest the other way round. An
    # empty part is found around each character.
    count_max, kept_max = 0, 0
    if old.least == 0:
        count_max, kept_max = min(whole.most + 1, GREATEST), whole.most
    elif new.most <= old.least:
        kept_max = whole.most
    else:
        count_max = _ceiling(whole.most, old.least)
    count_min, kept_min = 0, 0
    if old.most == 0:
        count_min, kept_min = min(whole.least + 1, GREATEST), whole.least
    elif old.most <= new.least:
        kept_min = whole.least
    else:
        count_min = _ceiling(whole.least, old.most)
    size = Span(count_min, count_max) * new + Span(kept_min, kept_max)
    return Estimate(cost=whole.scaled(2 * CHARACTER_COST), size=size)


def _ceiling(number: int, divisor: int) -> int:
    return min(ceil(float(number) / float(divisor)), GREATEST)


def _split(_: str, target: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if target is None:
        return None
    most = args[1].whole_number(target.span.most) if len(args) > 1 else target.span.most
    return Estimate(cost=target.span.scaled(2 * CHARACTER_COST), size=Span(0, most))


def _join(_: str, target: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if target is None:
        return None
    count, size = target.span, NOTHING
    if target.type.params:
        size = count * (target.element_size if target.element_size is not None else ANY)
    if args:
        size += args[0].span * Span(max(count.least - 1, 0), max(count.most - 1, 0))
    return Estimate(cost=_characters(size), size=size)


def _find(_: str, target: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if target is None or not args:
        return None
    return Estimate(cost=_pattern(target.span, args[0].span), size=Span(0, target.span.most))


def _pattern(text: Span, pattern: Span) -> Span:
    # One character more, so that a costly pattern on an empty text is not free.
    return _characters(text + ONE) * pattern.scaled(PATTERN_COST)


def _ip(overload: str, _: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if overload == "cidr_ip" or not args:
        return _CHEAP
    return Estimate(cost=_characters(args[0].span))


def _contains_ip(overload: str, _: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if not args:
        return None
    cost = _characters(_ADDRESS + _ADDRESS)
    if overload.endswith("_string"):
        cost += _characters(args[0].span)
    return Estimate(cost=cost)


def _contains_cidr(overload: str, target: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    found = _contains_ip(overload, target, args)
    return Estimate(cost=found.cost + _characters(_ADDRESS) + ONE) if found is not None else None


def _validate(_: str, __: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if not args:
        return None
    return Estimate(cost=_characters(args[0].span).scaled(FORMAT_PATTERN_MAX * PATTERN_COST))


def _selector(_: str, __: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if len(args) != 1:
        return None
    length = args[0].span
    requirements = length.scaled(0.5).scaled(float(LIST_COST + STRUCT_COST))
    return Estimate(cost=fixed(LIST_COST) + _characters(length) + requirements)


_FUNCTIONS: dict[str, _All] = {
    "check": lambda _, __, ___: Estimate(cost=fixed(CHECK_COST)),
    **dict.fromkeys(("fieldSelector", "labelSelector"), _selector),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _over_list),
    **dict.fromkeys(("url", "jsonpatch.escapeKey"), _traversed(keeps_size=True)),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _traversed_target),
    "replace": _replace,
    "split": _split,
    "join": _join,
    **dict.fromkeys(("find", "findAll"), _find),
    **dict.fromkeys(("cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _traversed()),
    "ip": _ip,
    "ip.isCanonical": _traversed(factor=2 * CHARACTER_COST),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "validate": _validate,
}

_AT_ONCE = frozenset(
    [
        "net.IP",
        "net.CIDR",
        "kubernetes.Quantity",
        "kubernetes.Semver",
        "kubernetes.authorization.Authorizer",
        "kubernetes.authorization.PathCheck",
        "kubernetes.authorization.GroupCheck",
        "kubernetes.authorization.ResourceCheck",
        "kubernetes.authorization.Decision",
        "kubernetes.NamedFormat",
        "kubernetes.URL",
    ]
)


def _is_compared_at_once(args: Sequence[Argument]) -> bool:
    return len(args) == 2 and args[0].type == args[1].type and args[0].type.name in _AT_ONCE


def _compared_at_once(args: Sequence[Argument]) -> Estimate:
    match args[0].type.name:
        case "kubernetes.NamedFormat":
            return Estimate(cost=_characters(Span(1, FORMAT_NAME_MAX)))
        case "kubernetes.URL":
            most = args[1].size.most if args[1].size is not None else 1
            return Estimate(cost=_characters(Span(1, most)))
        case _:
            return _CHEAP


# --- lists and sets


def _allocating(factor: float, size: Span) -> Estimate:
    return Estimate(cost=size.scaled(factor) + ONE + fixed(LIST_COST), size=size)


def _slice(_: str, target: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if target is None or len(args) != 2:
        return None
    count = args[1].whole_number(target.span.most) - args[0].whole_number(0)
    return _allocating(1, fixed(count % 2**64))


def _flatten(_: str, target: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if target is None:
        return None
    return _allocating(float(args[0].whole_number(GREATEST) if args else 1), target.span)


def _sort(overload: str, target: Argument | None, _: Sequence[Argument]) -> Estimate | None:
    if target is None:
        return None
    size = target.span * target.span
    return Estimate(cost=sort_estimate(target.span, overload.split("_")[1]), size=size)


def _sets(factor: float) -> _All:
    def compared(_: str, __: Argument | None, args: Sequence[Argument]) -> Estimate | None:
        return Estimate(cost=(args[0].span * args[1].span).scaled(factor) + ONE)

    return compared


_LISTS: dict[str, _All] = {
    "list_slice": _slice,
    "list_flatten": _flatten,
    "list_flatten_int": _flatten,
    "lists_range": lambda _, __, args: _allocating(1, fixed(args[0].whole_number(GREATEST))),
    "list_reverse": lambda _, target, __: _allocating(1, target.span) if target is not None else None,
    "list_distinct": lambda _, target, __: (
        _allocating(2.0, target.span * target.span) if target is not None else None
    ),
    **dict.fromkeys(
        (
            f"list_{kind}_sort"
            for kind in ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
        ),
        _sort,
    ),
    "list_sets_contains_list": _sets(1),
    "list_sets_intersects_list": _sets(1),
    "list_sets_equivalent_list": _sets(2),
}

# --- the standard library


def _to_bytes(_: str, __: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    span = args[0].span
    return Estimate(cost=_characters(span), size=Span(span.least, min(span.most * 4, GREATEST)))


def _to_string(_: str, __: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    span = args[0].span
    return Estimate(cost=_characters(span), size=Span(span.least // 4, span.most))


def _quoted(_: str, __: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    span = args[0].span
    return Estimate(cost=_characters(span), size=Span(span.least + 2, min(span.most * 2 + 2, GREATEST)))


def _formatted(_: str, target: Argument | None, __: Sequence[Argument]) -> Estimate | None:
    return Estimate(cost=_characters(target.span)) if target is not None else None


def _matches(_: str, target: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    return Estimate(cost=_pattern(target.span, args[0].span)) if target is not None else None


def _contains(_: str, target: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    if target is None:
        return None
    return Estimate(cost=_characters(target.span) * _characters(args[0].span))


def _added(overload: str, _: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    size = args[0].span + args[1].span
    return Estimate(cost=ONE if overload == "add_list" else _characters(size), size=size)


def _compared(_: str, __: Argument | None, args: Sequence[Argument]) -> Estimate | None:
    most = min(args[0].span.most, args[1].span.most)
    return Estimate(cost=_characters(Span(min(most, 1), most)))


_OVERLOADS: dict[str, _All] = {
    "string_format": _formatted,
    "string_to_bytes": _to_bytes,
    "bytes_to_string": _to_string,
    "strings_quote": _quoted,
    **dict.fromkeys(("starts_with_string", "ends_with_string"), _traversed()),
    "in_list": lambda _, __, args: Estimate(cost=args[1].span.scaled(1)),
    "matches_string": _matches,
    "contains_string": _contains,
    **dict.fromkeys(("add_string", "add_bytes", "add_list"), _added),
    **dict.fromkeys(("equals", "not_equals"), _compared),
    **dict.fromkeys(
        (
            f"{name}_{kind}"
            for name in ("less", "less_equals", "greater", "greater_equals")
            for kind in ("string", "bytes")
        ),
        _compared,
    ),
}
