"""Times on the wire: canonical texts, and upstream's words for texts that are no times.

Upstream parses by a layout, element by element, and names the element that did not fit.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

LAYOUT = "2006-01-02T15:04:05Z07:00"
LAYOUT_MICRO = "2006-01-02T15:04:05.000000Z07:00"
ZERO = datetime(1, 1, 1, tzinfo=UTC)

_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class TimeError(ValueError):
    """The text is no time. The message is upstream's."""


def canonical_time(text: str) -> str | None:
    """Return the text of a metav1.Time: UTC, whole seconds. None for the zero time. Raises `TimeError`."""
    moment = parse(text, LAYOUT)
    if moment == ZERO:
        return None
    if _CANONICAL.fullmatch(text):
        return text
    return f"{moment.isoformat()[:19]}Z"


def canonical_micro_time(text: str) -> str | None:
    """Return the text of a metav1.MicroTime: UTC, six decimals. None for the zero time."""
    moment = parse(text, LAYOUT_MICRO)
    if moment == ZERO:
        return None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


_ELEMENTS = (
    ("2006", r"\d{4}", "year"),
    ("-", "-", ""),
    ("01", r"\d\d", "month"),
    ("-", "-", ""),
    ("02", r"\d\d", "day"),
    ("T", "T", ""),
    ("15", r"\d\d?", "hour"),
    (":", ":", ""),
    ("04", r"\d\d", "minute"),
    (":", ":", ""),
    ("05", r"\d\d", "second"),
)
_RANGES = {"month": (1, 12), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}


def parse(text: str, layout: str) -> datetime:
    """Return the moment in UTC. Raises `TimeError` as Go's time.Parse with one of the two layouts."""
    position = 0
    numbers: dict[str, int] = {}
    for element, pattern, name in _ELEMENTS:
        match = re.compile(pattern, re.ASCII).match(text, position)
        if match is None:
            raise _cannot_parse(text, layout, position, element)
        position = match.end()
        if name:
            numbers[name] = int(match[0])
            low, high = _RANGES.get(name, (0, 9999))
            if not low <= numbers[name] <= high:
                raise _fault(text, f"{name} out of range")
    fraction = re.compile(r"[.,]\d+", re.ASCII).match(text, position)
    if layout == LAYOUT_MICRO:
        micros = re.compile(r"[.,]\d{6}(?!\d)", re.ASCII).match(text, position)
        if micros is None:
            raise _cannot_parse(text, layout, position, ".000000")
        fraction = micros
    if fraction is not None:
        position = fraction.end()
    zone = re.compile(r"Z|([+-])(\d\d):(\d\d)", re.ASCII).match(text, position)
    if zone is None:
        raise _cannot_parse(text, layout, position, "Z07:00")
    if zone.end() < len(text):
        raise _fault(text, f"extra text: {_quoted(text[zone.end() :])}")
    return _moment(text, numbers, fraction[0] if fraction else "", zone)


def _moment(text: str, numbers: dict[str, int], fraction: str, zone: re.Match[str]) -> datetime:
    offset = timedelta(0)
    if zone[1]:
        offset = timedelta(hours=int(zone[2]), minutes=int(zone[3]))
        if offset > timedelta(hours=23, minutes=59):
            raise _fault(text, "time zone offset hour out of range")
        offset = -offset if zone[1] == "-" else offset
    try:
        local = datetime(
            numbers["year"],
            numbers["month"],
            numbers["day"],
            numbers["hour"],
            numbers["minute"],
            numbers["second"],
            int(fraction[1:7].ljust(6, "0")) if fraction else 0,
            tzinfo=timezone(offset),
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _fault(text, "day out of range") from None


def _cannot_parse(text: str, layout: str, position: int, element: str) -> TimeError:
    rest = _quoted(text[position:])
    return TimeError(f'parsing time {_quoted(text)} as "{layout}": cannot parse {rest} as "{element}"')


def _fault(text: str, what: str) -> TimeError:
    return TimeError(f"parsing time {_quoted(text)}: {what}")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
