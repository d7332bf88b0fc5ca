"""Quantities: `100m`, `1.5Gi`, `2e3`. Exact, without floats; upstream: apimachinery/pkg/api/resource.

A quantity is a whole number of nanos (10^-9), the finest grain upstream keeps, plus the family of suffixes
(decimal, binary, exponent) in which it was written and is printed again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Literal

from podium.base.caching import kept_if_short

Format = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

FORMAT_MESSAGE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_MESSAGE = "unable to parse quantity's suffix"

NANO = 10**9
_DIGITS_MAX = 128
"""Digits beyond these change nothing but how long it takes."""
_CAP = (2**63 - 1) * NANO
_SYNTAX = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT = re.compile(r"[eE]([-+]?[0-9]+)", re.ASCII)
_DECIMAL: dict[str, int] = {
    "n": -9,
    "u": -6,
    "m": -3,
    "": 0,
    "k": 3,
    "M": 6,
    "G": 9,
    "T": 12,
    "P": 15,
    "E": 18,
}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY: dict[str, int] = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_BINARY_SUFFIX = ["", *_BINARY]


class QuantityError(ValueError):
    """The text is no quantity. The message is upstream's."""


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An exact amount. Equal amounts are equal however they were written. `str()` is the canonical form."""

    nanos: int
    format: Format = "DecimalSI"

    def value(self) -> int:
        """Return the amount in units, rounded away from zero as upstream's Value()."""
        return _rounded_up(self.nanos, NANO)

    def milli(self) -> int:
        """Return the amount in thousandths, rounded away from zero."""
        return _rounded_up(self.nanos, 10**6)

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __add__(self, other: Quantity) -> Quantity:
        """Return the sum, in this quantity's family unless it is zero."""
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nanos, self.format)

    def __mul__(self, factor: int) -> Quantity:
        return Quantity(self.nanos * factor, self.format)

    def __str__(self) -> str:
        return _text(self.nanos, self.format)


ZERO = Quantity(0)


def parse(value: str | int | float) -> Quantity:
    """Return the quantity that a wire value means; numbers are read as their JSON text.

    Raises `QuantityError`, a ValueError with upstream's message.
    """
    return _parse(value if isinstance(value, str) else repr(value))


def canonical(value: str | int | float) -> str:
    """Return the text that upstream keeps: `1000m` is `1`, `1024Ki` is `1Mi`, `0.5` is `500m`."""
    return _canonical(value if isinstance(value, str) else repr(value))


@kept_if_short(4096)
def _canonical(text: str) -> str:
    amount = _parse(text)
    return text if _is_kept(text) else str(amount)


def _is_kept(text: str) -> bool:
    """Tell whether upstream keeps a text as it was written, though it be `1.250`, `+5` or `1e0`."""
    match = _SYNTAX.fullmatch(text)
    assert match is not None, "only called for what parses"
    whole, fraction, suffix = match[2].lstrip("0") or "0", match[3] or "", match[4]
    digits = whole + fraction
    if text == "0" or not digits.strip("0"):
        return text == "0"
    base, exponent, _ = _suffix(suffix)
    if base == 2:
        room = 15 - len(whole) - exponent * 3 // 10 - 1
        return not fraction and room >= 0 and int(whole) % 8 != 0
    scale = exponent - len(fraction)
    fits = len(digits) <= 18 and scale >= -9
    return fits and scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


@kept_if_short(4096)
def _parse(text: str) -> Quantity:
    if not text:
        raise QuantityError(FORMAT_MESSAGE)
    match = _SYNTAX.fullmatch(text)
    if match is None:
        raise QuantityError(FORMAT_MESSAGE)
    sign, whole, fraction, suffix = match[1], match[2].lstrip("0"), match[3] or "", match[4]
    base, exponent, family = _suffix(suffix)
    if len(whole) > _DIGITS_MAX:
        whole = "9" * _DIGITS_MAX
    if len(fraction) > _DIGITS_MAX:
        # What is below any grain still rounds up.
        fraction = fraction[:_DIGITS_MAX] + ("1" if fraction[_DIGITS_MAX:].strip("0") else "")
    digits = int(whole + fraction or "0")
    decimals = len(fraction)
    if base == 2:
        top, bottom = digits * (2**exponent) * NANO, 10**decimals
    else:
        power = exponent - decimals + 9
        # A made-up exponent must not make a number of millions of digits: upstream caps, so do we.
        if not digits:
            top, bottom = 0, 1
        elif power > 64:
            top, bottom = _CAP, 1
        elif power < -64 - len(whole) - decimals:
            top, bottom = 1, 1
        else:
            top, bottom = (digits * 10**power, 1) if power >= 0 else (digits, 10**-power)
    nanos = -(-top // bottom)
    if base == 2:
        nanos = min(nanos, _CAP)
        if 0 < nanos < NANO:
            family = "DecimalSI"
    return Quantity(-nanos if sign == "-" else nanos, family)


def _suffix(suffix: str) -> tuple[int, int, Format]:
    """Return (base, exponent, family) of a suffix."""
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], "DecimalSI"
    if suffix in _BINARY:
        return 2, _BINARY[suffix], "BinarySI"
    match = _EXPONENT.fullmatch(suffix)
    if match is None:
        raise QuantityError(SUFFIX_MESSAGE)
    power = match[1]
    if len(power) > 9:
        power = "-999999999" if power.startswith("-") else "999999999"
    return 10, int(power), "DecimalExponent"


def _rounded_up(amount: int, unit: int) -> int:
    return -(-amount // unit) if amount >= 0 else amount // unit


def _text(nanos: int, family: Format) -> str:
    if nanos == 0:
        return "0"
    if family == "BinarySI" and abs(nanos) >= 1024 * NANO and nanos % NANO == 0:
        units, steps = nanos // NANO, 0
        while units % 1024 == 0 and steps < 6:
            units //= 1024
            steps += 1
        return f"{units}{_BINARY_SUFFIX[steps]}"
    mantissa, exponent = nanos, -9
    while mantissa % 1000 == 0 and (exponent < 18 or family == "DecimalExponent"):
        mantissa //= 1000
        exponent += 3
    if family == "DecimalExponent":
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIX[exponent]}"
