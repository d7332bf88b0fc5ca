"""Whether a cron schedule can be read: five fields or a descriptor such as `@daily`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EVERY = "@every "
_DURATION = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)"
_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    low: int
    high: int
    names: dict[str, int] = field(default_factory=dict)


_FIELDS = (
    _Bounds(low=0, high=59),
    _Bounds(low=0, high=23),
    _Bounds(low=1, high=31),
    _Bounds(low=1, high=12, names={name: number for number, name in enumerate(_MONTHS, 1)}),
    _Bounds(low=0, high=6, names={name: number for number, name in enumerate(_DAYS)}),
)


class _ScheduleError(ValueError):
    """A part of the schedule cannot be read."""


def schedule_error(schedule: str) -> str:
    """Return what is wrong with a schedule, "" when it is in order."""
    text = schedule
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, _, text = text.partition(" ")
        text = text.strip()
        if not text:
            return f"provided bad location {zone.partition('=')[2]}"
    if text.startswith("@"):
        return _descriptor_error(text)
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return f"expected exactly {len(_FIELDS)} fields, found {len(fields)}: [{' '.join(fields)}]"
    try:
        for value, bounds in zip(fields, _FIELDS, strict=True):
            for part in value.split(","):
                if part:
                    _check_range(part, bounds)
    except _ScheduleError as error:
        return str(error)
    return ""


def _descriptor_error(text: str) -> str:
    if text in DESCRIPTORS:
        return ""
    if text.startswith(_EVERY):
        duration = text.removeprefix(_EVERY)
        if re.fullmatch(f"({_DURATION})+", duration):
            return ""
        return f'failed to parse duration {text}: time: invalid duration "{duration}"'
    return f"unrecognized descriptor: {text}"


def _check_range(expression: str, bounds: _Bounds) -> None:
    """Check `*`, a number, a name, a range, each with an optional step."""
    parts = expression.split("/")
    ends = parts[0].split("-")
    if ends[0] in ("*", "?"):
        start, end = bounds.low, bounds.high
    else:
        start = _number(ends[0], bounds)
        if len(ends) > 2:
            raise _ScheduleError(f"too many hyphens: {expression}")
        end = _number(ends[1], bounds) if len(ends) == 2 else start
    step = 1
    if len(parts) > 2:
        raise _ScheduleError(f"too many slashes: {expression}")
    if len(parts) == 2:
        step = _integer(parts[1])
        if len(ends) == 1:
            end = bounds.high
    if start < bounds.low:
        raise _ScheduleError(f"beginning of range ({start}) below minimum ({bounds.low}): {expression}")
    if end > bounds.high:
        raise _ScheduleError(f"end of range ({end}) above maximum ({bounds.high}): {expression}")
    if start > end:
        raise _ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise _ScheduleError(f"step of range should be a positive number: {expression}")


def _number(text: str, bounds: _Bounds) -> int:
    named = bounds.names.get(text.lower())
    return _integer(text) if named is None else named


def _integer(text: str) -> int:
    if not re.fullmatch("[+-]?[0-9]+", text):
        fault = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise _ScheduleError(f"failed to parse int from {text}: {fault}")
    number = int(text)
    if number < 0:
        raise _ScheduleError(f"negative number ({number}) not allowed: {text}")
    return number
