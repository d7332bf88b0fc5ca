"""The log backend: one line for each event, to a file or to standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from podium.apiserver.audit.backend import Losses
from podium.apiserver.audit.event import Event

PLUGIN = "log"
FORMATS = ("legacy", "json")


class Output(Protocol):
    """Where lines go."""

    async def write(self, line: bytes) -> None:
        """Append a whole line, in a bounded time. Raises OSError when it cannot."""
        ...

    async def close(self) -> None: ...


class LogBackend:
    """Writes events in one of `FORMATS`."""

    def __init__(self, output: Output, format: str, losses: Losses) -> None:
        self._output = output
        self._legacy = format == "legacy"
        self._losses = losses
        self.close = output.close

    async def process(self, events: Sequence[Event]) -> bool:
        kept = True
        for event in events:
            line = event.line().encode() if self._legacy else event.encoded
            try:
                await self._output.write(line + b"\n")
            except OSError as error:
                self._losses.report(PLUGIN, str(error), [event])
                kept = False
        return kept
