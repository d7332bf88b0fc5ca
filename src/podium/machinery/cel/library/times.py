"""The parts of timestamps and durations."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Callable
from typing import Any

from podium.machinery.cel.declarations import Row, declare
from podium.machinery.cel.errors import NO_SUCH_OVERLOAD, CelRuntimeError
from podium.machinery.cel.values import SECOND, Duration, Timestamp

_OFFSET = re.compile(r"([+-]?)(\d\d?):(\d\d)", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", re.ASCII)


def zone(name: str) -> datetime.tzinfo:
    """Return the zone of `Europe/Berlin`, `+02:00` or `UTC`."""
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        sign = -1 if offset[1] == "-" else 1
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes < 24 * 60:
            return datetime.timezone(sign * datetime.timedelta(minutes=minutes))
    if name in ("", "UTC"):
        return datetime.UTC
    if _ZONE.fullmatch(name):
        try:
            return zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise CelRuntimeError(f"unknown time zone {name}")


def _part(read: Callable[[datetime.datetime], int]) -> Callable[..., int]:
    def part(value: Any, name: str = "UTC") -> int:
        if type(value) is not Timestamp:
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        try:
            return read(value.at(zone(name)))
        except (OverflowError, ValueError) as error:
            if isinstance(error, CelRuntimeError):
                raise
            raise CelRuntimeError("timestamp overflow") from None

    return part


def _milliseconds(value: Any, name: str = "UTC") -> int:
    if type(value) is Duration:
        return _towards_zero(value.nanos, 10**6)
    zone(name)
    if type(value) is not Timestamp:
        raise CelRuntimeError(NO_SUCH_OVERLOAD)
    return value.nanos % SECOND // 10**6


def _whole(unit: int) -> Callable[[Duration], int]:
    return lambda value: _towards_zero(value.nanos, unit)


def _towards_zero(nanos: int, unit: int) -> int:
    return nanos // unit if nanos >= 0 else -(-nanos // unit)


_PARTS: dict[str, Callable[..., int]] = {
    "getFullYear": _part(lambda when: when.year),
    "getMonth": _part(lambda when: when.month - 1),
    "getDayOfYear": _part(lambda when: when.timetuple().tm_yday - 1),
    "getDayOfMonth": _part(lambda when: when.day - 1),
    "getDate": _part(lambda when: when.day),
    "getDayOfWeek": _part(lambda when: when.isoweekday() % 7),
    "getHours": _part(lambda when: when.hour),
    "getMinutes": _part(lambda when: when.minute),
    "getSeconds": _part(lambda when: when.second),
    "getMilliseconds": _milliseconds,
}


def _rows() -> list[Row]:
    rows: list[Row] = []
    for name, run in _PARTS.items():
        rows.append((f"timestamp_{name}", f".{name}", "timestamp", "int", run))
        rows.append((f"timestamp_{name}_with_tz", f".{name}", "timestamp, string", "int", run))
    units = {"Hours": 3600 * SECOND, "Minutes": 60 * SECOND, "Seconds": SECOND, "Milliseconds": 10**6}
    for unit, nanos in units.items():
        rows.append((f"duration_get{unit}", f".get{unit}", "duration", "int", _whole(nanos)))
    return rows


OVERLOADS = declare(_rows())
