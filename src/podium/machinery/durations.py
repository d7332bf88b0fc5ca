"""Durations as Go writes them: `40s`, `1m30s`, `500ms`."""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_NS_MAX = 2**63 - 1


def parse_s(text: str) -> float:
    """Return the seconds of a duration. Raises ValueError with the message of Go's time.ParseDuration."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(_fault(text, rest))
    total = sum(int(Fraction(number.rstrip(".")) * _UNITS_NS[unit]) for number, unit in parts)
    if total > _NS_MAX:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total / 1e9


def _fault(text: str, rest: str) -> str:
    match = re.match(
        r"(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))*(\d+\.?\d*|\.\d+)([^\d.]*)", rest, re.ASCII
    )
    if match is None or match.end() == match.end(1) < len(rest):
        return f'time: invalid duration "{text}"'
    unit = match[2]
    if not unit:
        return f'time: missing unit in duration "{text}"'
    return f'time: unknown unit "{unit}" in duration "{text}"'


def shown(seconds: float) -> str:
    """Return a duration as Go prints it: `1m30s`, `500ms`, `0s`."""
    total = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 else ""
    if total == 0:
        return "0s"
    if total < _UNITS_NS["s"]:
        unit = "ms" if total >= 1_000_000 else "µs" if total >= 1_000 else "ns"
        return f"{sign}{_decimal(total, _UNITS_NS[unit])}{unit}"
    minutes, rest = divmod(total, _UNITS_NS["m"])
    text = f"{_decimal(rest, _UNITS_NS['s'])}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"
    return sign + text


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).rjust(len(str(unit)) - 1, '0')}".rstrip("0")
