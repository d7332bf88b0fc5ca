"""What takes audit events, and what becomes of those that are lost.

truncated? -> buffered (mode batch) | tolerated (blocking) | as it is (blocking-strict) -> log | webhook
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from podium.apiserver.audit.event import Event
from podium.apiserver.audit.metrics import AuditMetrics
from podium.base.log import Log

SHOWN_MAX = 10
"""So many of the events that one error lost are written to the server's log."""

_log = Log("podium.apiserver.audit")


class Backend(Protocol):
    """Takes events; what it loses it reports itself."""

    async def process(self, events: Sequence[Event]) -> bool:
        """Take events; return False when some could not be kept and the request is to fail for that.

        Bounded in time. Must not raise.
        """
        ...

    async def close(self) -> None:
        """Pass on what waits, within a bounded time; nothing comes after this."""
        ...


class Losses:
    """Counts lost events, and tells the server's log which they were."""

    def __init__(self, metrics: AuditMetrics) -> None:
        self._metrics = metrics

    def report(self, plugin: str, why: str, events: Sequence[Event]) -> None:
        """Take note of events that `plugin` lost."""
        self._metrics.errors.labels(plugin).inc(len(events))
        _log.error("audit events are lost", plugin=plugin, events=len(events), why=why)
        for event in events[:SHOWN_MAX]:
            _log.error("lost", event=event.line())


class Tolerated:
    """Mode `blocking`: requests wait for the backend, and go on whatever it says."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.close = backend.close

    async def process(self, events: Sequence[Event]) -> bool:
        await self._backend.process(events)
        return True


class Union:
    """Several backends, each of which gets all events."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        self._backends = backends

    async def process(self, events: Sequence[Event]) -> bool:
        kept = True
        for backend in self._backends:
            kept = await backend.process(events) and kept
        return kept

    async def close(self) -> None:
        for backend in self._backends:
            await backend.close()
