"""Cron schedules: `30 2 * * mon-fri`, `@daily`, `@every 90m`. Pure. Upstream: github.com/robfig/cron.

Times are looked for in the schedule's time zone. Of a day with a restricted day of month and a restricted
day of week either suffices, as cron always did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Protocol

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_DAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_HORIZON_DAYS = 5 * 366
"""A schedule without a time in five years (30 February) never comes."""


class Schedule(Protocol):
    """When something is due."""

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first time after `moment`, None when there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """Five fields of cron."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    zone: tzinfo = UTC

    def next_after(self, moment: datetime) -> datetime | None:
        local = moment.astimezone(self.zone)
        day = local.date()
        for _ in range(_HORIZON_DAYS):
            if day.month in self.months and self._is_day(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=self.zone)
                        found = found.astimezone(UTC)
                        # A time that the clocks skip comes back as another one: it does not exist.
                        back = found.astimezone(self.zone)
                        if found > moment and (back.hour, back.minute) == (hour, minute):
                            return found
            day += timedelta(days=1)
        return None

    def _is_day(self, day: date) -> bool:
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return by_month and by_week
        return by_month or by_week


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """A fixed interval."""

    interval: timedelta

    def next_after(self, moment: datetime) -> datetime | None:
        return moment.replace(microsecond=0) + self.interval


def parse(text: str, zone: tzinfo = UTC) -> Schedule:
    """Return the schedule that `text` says. Raises ValueError."""
    text = text.strip()
    if text.startswith("@every "):
        return Every(interval=_duration(text.removeprefix("@every ")))
    fields = _MACROS.get(text, text).split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: {fields}")
    weekdays = _field(fields[4], 0, 7, _DAYS)
    return Cron(
        minutes=_field(fields[0], 0, 59),
        hours=_field(fields[1], 0, 23),
        days=_field(fields[2], 1, 31),
        months=_field(fields[3], 1, 12, _MONTHS),
        weekdays=frozenset(day % 7 for day in weekdays),
        any_day=fields[2][0] in "*?",
        any_weekday=fields[4][0] in "*?",
        zone=zone,
    )


def _field(text: str, low: int, high: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, {}) if slash else 1
        if step < 1:
            raise ValueError(f"step of range should be a positive number: {part}")
        if span in ("*", "?"):
            first, last = low, high
        else:
            first_text, dash, last_text = span.partition("-")
            first = _number(first_text, names or {})
            last = _number(last_text, names or {}) if dash else high if slash else first
        if first < low or last > high or first > last:
            raise ValueError(f"{part!r} is outside of {low} to {high}")
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _number(text: str, names: Mapping[str, int]) -> int:
    number = names.get(text.lower())
    if number is not None:
        return number
    if not text.isdecimal():
        raise ValueError(f"failed to parse int from {text!r}")
    return int(text)


def _duration(text: str) -> timedelta:
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ValueError(f"failed to parse duration {text!r}")
    return timedelta(seconds=max(1.0, sum(float(n) * units[u] for n, u in parts)))
