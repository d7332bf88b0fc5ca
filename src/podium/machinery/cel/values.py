"""What an expression computes with: the values, when they are equal, how they compare and read as text.

JSON's values stand for themselves: an int is CEL's int, a dict is a map or an object. What JSON does not have
is here.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from podium.machinery.cel.errors import NO_SUCH_OVERLOAD, CelRuntimeError
from podium.machinery.cel.types import unescape
from podium.machinery.quantity import Quantity

SECOND = 10**9
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_TIMESTAMP_MIN, _TIMESTAMP_MAX = -62135596800, 253402300799
TIMESTAMP_ZERO = _TIMESTAMP_MIN * SECOND  # Go's zero time, the beginning of year 1
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,
    "\u03bcs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_DURATION = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:(Z)|([+-])(\d\d):(\d\d))", re.ASCII
)


class Uint(int):
    """An unsigned integer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanos: int

    def __str__(self) -> str:
        return f"{plain_float(self.nanos / SECOND)}s"


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A point in time, in nanoseconds since 1970. `offset_s`, of the zone it was written in, is but shown."""

    nanos: int
    offset_s: int = field(default=0, compare=False)

    def at(self, zone: datetime.tzinfo = datetime.UTC) -> datetime.datetime:
        return (_EPOCH + datetime.timedelta(seconds=self.nanos // SECOND)).astimezone(zone)

    def __str__(self) -> str:
        fraction = f".{self.nanos % SECOND:09d}".rstrip("0") if self.nanos % SECOND else ""
        if not self.offset_s:
            when = self.at()
            return f"{when.year:04d}-{when:%m-%dT%H:%M:%S}{fraction}Z"
        when = self.at(datetime.timezone(datetime.timedelta(seconds=self.offset_s)))
        sign, minutes = "-" if self.offset_s < 0 else "+", abs(self.offset_s) // 60
        zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
        return f"{when.year:04d}-{when:%m-%dT%H:%M:%S}{fraction}{zone}"


_ABSENT: Final = object()


class Optional:
    """A value or none."""

    __slots__ = ("_value",)

    def __init__(self, value: Any = _ABSENT) -> None:
        self._value = value

    @property
    def present(self) -> bool:
        return self._value is not _ABSENT

    def value(self) -> Any:
        if self._value is _ABSENT:
            raise CelRuntimeError("optional.none() dereference")
        return self._value


NONE = Optional()


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value: `type(1) == int`. Types are the same when their names are."""

    name: str


class SetList(list[Any]):
    """A list of `x-kubernetes-list-type: set`: order means nothing, and addition is union."""

    __slots__ = ()


class MapList(list[Any]):
    """A list of `x-kubernetes-list-type: map`: elements are told apart by their keys."""

    __slots__ = ("keys",)

    def __init__(self, elements: list[Any], keys: tuple[str, ...]) -> None:
        super().__init__(elements)
        self.keys = keys


class LazyMap(dict[str, Any]):
    """A map whose values are computed when first asked for, as the variables of a policy are."""

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        super().__init__()
        self._makers = makers

    def __missing__(self, key: str) -> Any:
        self[key] = value = self._makers[key]()
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._makers

    def __len__(self) -> int:
        return len(self._makers)


class EscapedMap(dict[str, Any]):
    """A map whose keys may also be asked for as expressions write field names: `a__dot__b` for `a.b`."""

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(unescape(key))

    def __contains__(self, key: object) -> bool:
        return super().__contains__(unescape(key) if isinstance(key, str) else key)


def escaped_maps(value: Any) -> Any:
    """Return a JSON value whose maps, at every depth, are `EscapedMap`s."""
    if isinstance(value, dict):
        return EscapedMap((key, escaped_maps(inner)) for key, inner in value.items())
    return [escaped_maps(inner) for inner in value] if isinstance(value, list) else value


_KINDS: dict[type, str] = {
    bool: "bool",
    int: "int",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    type(None): "null",
    Uint: "uint",
    Duration: "duration",
    Timestamp: "timestamp",
    Optional: "optional",
    TypeValue: "type",
    SetList: "list",
    MapList: "list",
    LazyMap: "map",
    EscapedMap: "map",
}
NUMBERS = frozenset([int, float, Uint])


def kind_of(value: Any) -> str:
    """Return the kind of the value's type; for a library's own type, its name."""
    kind = _KINDS.get(type(value))
    if kind is not None:
        return kind
    if isinstance(value, Quantity):
        return "kubernetes.Quantity"
    return str(getattr(value, "cel_type", type(value).__name__))


def type_name(value: Any) -> str:
    kind = kind_of(value)
    if kind in ("duration", "timestamp"):
        return f"google.protobuf.{kind.capitalize()}"
    return {"null": "null_type", "optional": "optional_type"}.get(kind, kind)


def equal(left: Any, right: Any) -> bool:
    """Numbers are equal by amount whatever their types; values of different types are not equal."""
    one, two = type(left), type(right)
    if one is two:
        if one is str or one is int or one is bool:
            return bool(left == right)
        if one is dict:
            return _equal_maps(left, right)
    elif one in NUMBERS and two in NUMBERS:
        return bool(left == right)
    if isinstance(left, list):
        return isinstance(right, list) and _equal_lists(left, right)
    if isinstance(left, dict):
        return isinstance(right, dict) and _equal_maps(left, right)
    if isinstance(left, Optional):
        if not isinstance(right, Optional) or left.present != right.present:
            return False
        return not left.present or equal(left.value(), right.value())
    return one is two and bool(left == right)


def _equal_lists(left: list[Any], right: list[Any]) -> bool:
    if len(left) != len(right):
        return False
    if isinstance(left, SetList):
        return all(contains(right, element) for element in left)
    if isinstance(left, MapList):
        by_key = {_map_key(element, left.keys): element for element in right}
        return all(
            (key := _map_key(element, left.keys)) in by_key and equal(element, by_key[key])
            for element in left
        )
    return all(equal(one, two) for one, two in zip(left, right, strict=True))


def _equal_maps(left: dict[Any, Any], right: dict[Any, Any]) -> bool:
    if len(left) != len(right):
        return False
    return all(key in right and equal(value, right[key]) for key, value in left.items())


def _map_key(element: Any, keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(repr(element.get(key)) for key in keys) if isinstance(element, dict) else (repr(element),)


def contains(values: list[Any], element: Any) -> bool:
    """Return whether some value is equal to `element`."""
    if type(element) is str:
        return element in values
    return any(equal(value, element) for value in values)


def added(left: list[Any], right: list[Any]) -> list[Any]:
    """Concatenate; a set takes in only what it has not, a map list replaces elements of the same key."""
    if isinstance(left, SetList):
        return SetList([*left, *(element for element in right if not contains(left, element))])
    if isinstance(left, MapList):
        merged = {_map_key(element, left.keys): element for element in left}
        for element in right:
            merged[_map_key(element, left.keys)] = element
        return MapList(list(merged.values()), left.keys)
    return left + right


_COMPARABLE = frozenset([bool, str, bytes, Duration, Timestamp])


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def compare(left: Any, right: Any) -> int:
    """Return -1, 0 or 1. Raises CelRuntimeError when the two cannot be compared."""
    one, two = type(left), type(right)
    if (one is two and one in _COMPARABLE) or (one in NUMBERS and two in NUMBERS):
        if is_nan(left) or is_nan(right):
            raise CelRuntimeError("NaN values cannot be ordered")
        return int(left > right) - int(left < right)
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def int64(value: int) -> bool:
    return _INT_MIN <= value <= _INT_MAX


def checked_int(value: int) -> int:
    if _INT_MIN <= value <= _INT_MAX:
        return value
    raise CelRuntimeError("integer overflow")


def checked_uint(value: int) -> Uint:
    if 0 <= value < 2**64:
        return Uint(value)
    raise CelRuntimeError("unsigned integer overflow")


def checked_duration(nanos: int) -> Duration:
    if _INT_MIN <= nanos <= _INT_MAX:
        return Duration(nanos)
    raise CelRuntimeError("duration overflow")


def checked_timestamp(nanos: int) -> Timestamp:
    if _TIMESTAMP_MIN <= nanos // SECOND <= _TIMESTAMP_MAX:
        return Timestamp(nanos)
    raise CelRuntimeError("timestamp overflow")


def parse_duration(text: str) -> Duration | None:
    """Read Go's notation (`1h2m3.5s`); None when it is none."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return Duration(0)
    nanos, at = 0, 0
    while at < len(rest):
        found = _DURATION.match(rest, at)
        if found is None or not (found[1] or found[2]):
            return None
        unit = _UNITS[found[3]]
        fraction = (found[2] or "")[:18]
        nanos += int(found[1][:20] or 0) * unit + (
            int(fraction) * unit // 10 ** len(fraction) if fraction else 0
        )
        at = found.end()
    if not rest or nanos > 2**63 - (sign > 0):
        return None
    return Duration(sign * nanos)


def parse_timestamp(text: str) -> Timestamp | None:
    """Read RFC 3339; None when it is none. Raises CelRuntimeError outside of the years 1 to 9999."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    offset = 0
    if found[8] is None:
        if int(found[10]) > 23 or int(found[11]) > 59:
            return None
        offset = (int(found[10]) * 60 + int(found[11])) * (-60 if found[9] == "-" else 60)
    if year == 0:
        raise CelRuntimeError("timestamp overflow")
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError:
        return None
    seconds = int((moment - _EPOCH) // datetime.timedelta(seconds=1)) - offset
    moment_ns = checked_timestamp(seconds * SECOND + int((found[7] or "")[:9].ljust(9, "0"))).nanos
    return Timestamp(moment_ns, offset)


def parse_date(text: str) -> Timestamp | None:
    """Read `2006-01-02`, as a string of format date is."""
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return None
    return Timestamp((day.toordinal() - _EPOCH.toordinal()) * 86400 * SECOND)


def plain_float(number: float) -> str:
    """Return the shortest decimal without an exponent."""
    if not math.isfinite(number):
        return float_text(number)
    text = repr(number)
    if "e" in text:
        text = f"{number:f}" if abs(number) >= 1 else f"{number:.20f}".rstrip("0")
    return text.removesuffix(".0")


def float_text(number: float) -> str:
    """Return the number as Go's %g shows it: `1e+06`, `0.5`, `+Inf`."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if number == 0:
        return "-0" if math.copysign(1, number) < 0 else "0"
    digits, _, exponent = f"{number:.16e}".partition("e")
    for precision in range(17):
        candidate = f"{number:.{precision}e}"
        if float(candidate) == number:
            digits, _, exponent = candidate.partition("e")
            break
    power = int(exponent)
    if power < -4 or power >= 6:
        return f"{digits}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return plain_float(number)
