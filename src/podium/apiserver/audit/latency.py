"""Where the time of a slow request went, as annotations. Pure."""

from __future__ import annotations

from collections.abc import Mapping

SLOW_S = 0.5
"""Requests that took no longer are not annotated."""
PREFIX = "apiserver.latency.k8s.io/"


def notes(latencies_s: Mapping[str, float], total_s: float) -> dict[str, str]:
    """Return the annotations of a request whose stops took so long."""
    if total_s <= SLOW_S or not latencies_s:
        return {}
    made = {f"{PREFIX}{stop}": go_duration(elapsed_s) for stop, elapsed_s in latencies_s.items() if elapsed_s}
    made[f"{PREFIX}total"] = go_duration(total_s)
    return made


def go_duration(seconds: float) -> str:
    """Return a duration as Go writes it: `1m2.5s`, `1.5s`, `12.25ms`, `800µs`."""
    nanos = round(seconds * 1e9)
    for unit, size in (("ns", 1_000), ("µs", 1_000_000), ("ms", 1_000_000_000)):
        if nanos < size:
            return f"{_decimal(nanos, size // 1000)}{unit}" if nanos else "0s"
    minutes, rest = divmod(nanos, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{head}{_decimal(rest, 1_000_000_000)}s"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    return f"{whole}.{str(rest).zfill(len(str(unit)) - 1)}".rstrip("0").rstrip(".") if rest else str(whole)
