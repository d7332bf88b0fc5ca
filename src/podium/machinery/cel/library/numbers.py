"""Quantities (`1.5Gi`) and semantic versions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from podium.machinery import quantity as quantities
from podium.machinery.cel.declarations import declare
from podium.machinery.cel.errors import CelRuntimeError
from podium.machinery.cel.values import int64
from podium.machinery.quantity import NANO, Quantity, QuantityError

_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMVER = re.compile(
    rf"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)
_LOOSE = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+].*)?", re.ASCII)


def quantity(text: str) -> Quantity:
    try:
        return quantities.parse(text)
    except QuantityError as error:
        raise CelRuntimeError(str(error)) from None


def is_quantity(text: str) -> bool:
    try:
        quantities.parse(text)
    except QuantityError:
        return False
    return True


def _is_integer(value: Quantity) -> bool:
    return value.nanos % NANO == 0 and int64(value.nanos // NANO)


def _as_integer(value: Quantity) -> int:
    if not _is_integer(value):
        raise CelRuntimeError("cannot convert value to integer")
    return value.nanos // NANO


def _compare(one: Any, two: Any) -> int:
    return int(one > two) - int(one < two)


@dataclass(frozen=True, slots=True, eq=False)
class Semver:
    """A version; the build part counts for nothing in comparisons."""

    major: int
    minor: int
    patch: int
    pre: str
    cel_type: ClassVar[str] = "kubernetes.Semver"

    @property
    def order(self) -> tuple[Any, ...]:
        parts = tuple(
            (0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.pre.split(".") if self.pre
        )
        return (self.major, self.minor, self.patch, not self.pre, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self.order == other.order

    def __hash__(self) -> int:
        return hash(self.order)

    def __lt__(self, other: Semver) -> bool:
        return self.order < other.order

    def __gt__(self, other: Semver) -> bool:
        return self.order > other.order


def find_semver(text: str, normalize: bool = False) -> Semver | None:
    """Read a version; when normalizing, `v1.2` and `01.2.3` will do."""
    if normalize:
        loose = _LOOSE.fullmatch(text)
        if loose is None:
            return None
        text = ".".join(str(int((part or "0")[:20])) for part in loose.groups()[:3]) + (loose[4] or "")
    found = _SEMVER.fullmatch(text)
    if found is None or any(int(part[:21]) >= 2**64 for part in found.groups()[:3]):
        return None
    return Semver(int(found[1]), int(found[2]), int(found[3]), found[4] or "")


def semver(text: str, normalize: bool = False) -> Semver:
    found = find_semver(text, normalize)
    if found is not None:
        return found
    if not text:
        raise CelRuntimeError("Version string empty")
    if text.count(".") < 2:
        raise CelRuntimeError("No Major.Minor.Patch elements found")
    raise CelRuntimeError(f'Invalid character(s) found in version "{text}"')


def _is_semver(text: str, normalize: bool = False) -> bool:
    return find_semver(text, normalize) is not None


OVERLOADS = declare(
    [
        ("string_to_quantity", "quantity", "string", "Quantity", quantity),
        ("is_quantity_string", "isQuantity", "string", "bool", is_quantity),
        ("quantity_sign", ".sign", "Quantity", "int", lambda value: _compare(value.nanos, 0)),
        (
            "quantity_is_greater_than",
            ".isGreaterThan",
            "Quantity, Quantity",
            "bool",
            lambda one, two: one > two,
        ),
        ("quantity_is_less_than", ".isLessThan", "Quantity, Quantity", "bool", lambda one, two: one < two),
        ("quantity_compare_to", ".compareTo", "Quantity, Quantity", "int", _compare),
        ("quantity_get_float", ".asApproximateFloat", "Quantity", "double", lambda value: value.nanos / NANO),
        ("quantity_get_int", ".asInteger", "Quantity", "int", _as_integer),
        ("quantity_is_integer", ".isInteger", "Quantity", "bool", _is_integer),
        ("quantity_add", ".add", "Quantity, Quantity", "Quantity", lambda one, two: one + two),
        (
            "quantity_add_int",
            ".add",
            "Quantity, int",
            "Quantity",
            lambda one, two: one + Quantity(two * NANO),
        ),
        ("quantity_sub", ".sub", "Quantity, Quantity", "Quantity", lambda one, two: one - two),
        (
            "quantity_sub_int",
            ".sub",
            "Quantity, int",
            "Quantity",
            lambda one, two: one - Quantity(two * NANO),
        ),
    ],
    since=28,
) + declare(
    [
        ("string_to_semver", "semver", "string", "Semver", semver),
        ("string_bool_to_semver", "semver", "string, bool", "Semver", semver),
        ("is_semver_string", "isSemver", "string", "bool", _is_semver),
        ("is_semver_string_bool", "isSemver", "string, bool", "bool", _is_semver),
        ("semver_is_greater_than", ".isGreaterThan", "Semver, Semver", "bool", lambda one, two: one > two),
        ("semver_is_less_than", ".isLessThan", "Semver, Semver", "bool", lambda one, two: one < two),
        ("semver_compare_to", ".compareTo", "Semver, Semver", "int", _compare),
        ("semver_major", ".major", "Semver", "int", lambda value: value.major),
        ("semver_minor", ".minor", "Semver", "int", lambda value: value.minor),
        ("semver_patch", ".patch", "Semver", "int", lambda value: value.patch),
    ],
    since=33,
)
