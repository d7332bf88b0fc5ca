"""Events that are too long lose their objects; batches that are too long are cut into several.

Upstream: apiserver/plugin/pkg/audit/truncate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podium.apiserver.audit.backend import Backend, Losses
from podium.apiserver.audit.event import Event

PLUGIN = "truncate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is too long."""

    batch_bytes_max: int = 10 * 1024 * 1024
    event_bytes_max: int = 100 * 1024


class Truncating:
    """In front of another backend."""

    def __init__(self, backend: Backend, sizes: Sizes, losses: Losses) -> None:
        self._backend = backend
        self._sizes = sizes
        self._losses = losses
        self.close = backend.close

    async def process(self, events: Sequence[Event]) -> bool:
        lost: list[Event] = []
        kept = True
        for batch in batches(events, self._sizes, lost):
            kept = await self._backend.process(batch) and kept
        if lost:
            self._losses.report(PLUGIN, "event is too large even after truncating", lost)
        return kept


def batches(events: Sequence[Event], sizes: Sizes, lost: list[Event]) -> list[list[Event]]:
    """Return the events in batches that are short enough; what cannot be made so is put to `lost`. Pure."""
    made: list[list[Event]] = []
    size = 0
    for one in events:
        event = one
        if len(event.encoded) > sizes.event_bytes_max and event.has_objects:
            event = event.without_objects()
        length = len(event.encoded)
        if length > sizes.event_bytes_max:
            lost.append(event)
            continue
        if not made or size + length > sizes.batch_bytes_max:
            made.append([])
            size = 0
        made[-1].append(event)
        size += length
    return made
