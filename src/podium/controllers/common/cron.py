"""Cron schedules: `30 2 * * mon-fri`, `@daily`, `@every 90m`. Pure. Upstream: github.com/robfig/cron.

Times are looked for in the schedule's time zone: those that the clocks skip do not come, those that they
repeat come twice. Of a day with a restricted day of month and a restricted day of week either suffices, as
cron always did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from podium.machinery import durations
from podium.resources.batch.schedule import schedule_error

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
        day = moment.astimezone(self.zone).date()
        for _ in range(_HORIZON_DAYS):
            if day.month in self.months and self._is_day(day):
                found = next((found for found in self._times_of(day) if found > moment), None)
                if found is not None:
                    return found
            day += timedelta(days=1)
        return None

    def _times_of(self, day: date) -> Iterator[datetime]:
        begins = datetime.combine(day, time(), self.zone).astimezone(UTC)
        ends = datetime.combine(day + timedelta(days=1), time(), self.zone).astimezone(UTC)
        if ends - begins == timedelta(days=1):
            for hour in sorted(self.hours):
                for minute in sorted(self.minutes):
                    yield begins + timedelta(hours=hour, minutes=minute)
            return
        moment = begins
        while moment < ends:  # a day on which the clocks are changed
            local = moment.astimezone(self.zone)
            if local.hour in self.hours and local.minute in self.minutes:
                yield moment
            moment += timedelta(minutes=1)

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
    """Return the schedule that `text` says. Raises ValueError.

    A zone of its own (`TZ=Asia/Tokyo 0 3 * * *`) goes before `zone`.
    """
    fault = schedule_error(text)
    if fault:
        raise ValueError(fault)
    if text.startswith(("TZ=", "CRON_TZ=")):
        named, _, text = text.partition(" ")
        zone = zone_called(named.partition("=")[2], "provided bad location {0}: {1}")
        text = text.strip()
    if text.startswith("@every "):
        seconds = int(durations.parse_s(text.removeprefix("@every ")))
        return Every(interval=timedelta(seconds=max(1, seconds)))
    fields = _MACROS.get(text, text).split()
    return Cron(
        minutes=_field(fields[0], 0, 59),
        hours=_field(fields[1], 0, 23),
        days=_field(fields[2], 1, 31),
        months=_field(fields[3], 1, 12, _MONTHS),
        weekdays=_field(fields[4], 0, 6, _DAYS),
        any_day=_is_any(fields[2]),
        any_weekday=_is_any(fields[4]),
        zone=zone,
    )


def zone_called(name: str, fault: str = "{1}") -> tzinfo:
    """Return the time zone of this name. Raises ValueError with `fault`, given the name and what is wrong."""
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(fault.format(name, f"unknown time zone {name}")) from error


def _is_any(field: str) -> bool:
    """Whether a field restricts nothing. One with a step does, though it begins with a star."""
    parts = (part.partition("/") for part in field.split(","))
    return any(span[:1] in ("*", "?") and step in ("", "1") for span, _, step in parts)


def _field(text: str, low: int, high: int, names: Mapping[str, int] | None = None) -> frozenset[int]:
    """Return the numbers of a field that is in order."""
    values: set[int] = set()
    for part in filter(None, text.split(",")):
        span, slash, step = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        if first_text in ("*", "?"):
            first, last = low, high
        else:
            first = _number(first_text, names or {})
            last = high if slash and not dash else _number(last_text or first_text, names or {})
        values.update(range(first, last + 1, int(step or 1)))
    return frozenset(values)


def _number(text: str, names: Mapping[str, int]) -> int:
    named = names.get(text.lower())
    return int(text) if named is None else named
