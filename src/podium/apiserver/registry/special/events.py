"""Events are kept for an hour, as upstream keeps them: nobody deletes them, and they never stop coming."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.registry.registry import Registry
from podium.base.clock import parse_rfc3339
from podium.machinery.errors import Object
from podium.resources.core.events import EVENTS
from podium.store.protocol import KeyMissing, RevisionMismatch

TTL = timedelta(hours=1)


async def sweep(registry: Registry) -> int:
    """Delete the events that are too old; return how many went."""
    root = registry.catalog.of(EVENTS).root
    gone = 0
    for entry in outdated(list(root.entries.values()), registry.clock.now()):
        try:
            await registry.store.delete(root.prefix + entry.key, expected_revision=entry.revision)
        except (KeyMissing, RevisionMismatch):
            continue  # It has just been written again, or somebody was quicker.
        gone += 1
    return gone


def outdated(entries: Iterable[Entry], now: datetime) -> list[Entry]:
    """Return the events last seen longer ago than they are kept. Pure."""
    return [entry for entry in entries if now - _last_seen(entry.decode(), now) > TTL]


def _last_seen(event: Object, now: datetime) -> datetime:
    times = [
        event.get("lastTimestamp"),
        event.get("eventTime"),
        (event.get("series") or {}).get("lastObservedTime"),
        event["metadata"].get("creationTimestamp"),
    ]
    moments = []
    for text in times:
        try:
            moments.append(parse_rfc3339(text or ""))
        except ValueError:
            continue
    return max(moments, default=now)
