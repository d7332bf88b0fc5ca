"""One watch: sends the lines of events to one client, and cuts it off when it cannot keep up."""

from __future__ import annotations

from typing import Protocol

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.cacher.selection import Selection
from podium.base.http.message import StreamWriter
from podium.base.metrics import Counter, Histogram
from podium.machinery.errors import Object

BUFFERED_BYTES_MAX = 4 * 1024 * 1024
"""A client that lets this much pile up is aborted: it will list again. The writer never waits for it."""

PENDING_BYTES_MAX = 16 * 1024 * 1024
"""The same bound for events that arrive while a client still receives its initial state."""


class Rendering(Protocol):
    """How one client wants to see objects: a version of the kind, whole, as Table or as metadata only.

    Renderings of the same form are one object, so that an event is encoded once for all their watchers.
    """

    def line(self, type: str, entry: Entry) -> bytes:
        """Return an event as one line of a watch."""
        ...

    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes: ...

    def error(self, status: Object) -> bytes:
        """Return a watch's last line when it cannot go on."""
        ...


class Watcher:
    """One client of a watch: the lines of events come to it synchronously and in order."""

    __slots__ = (
        "_pending",
        "_pending_bytes",
        "after_revision",
        "rendering",
        "selection",
        "sizes",
        "terminated",
        "writer",
    )

    def __init__(self, writer: StreamWriter, selection: Selection, rendering: Rendering) -> None:
        self.writer = writer
        self.selection = selection
        self.rendering = rendering
        self.sizes: Histogram | None = None
        """Told the size of each event sent."""
        self.terminated: Counter | None = None
        """Told once when the client is cut off because it is too slow."""
        self.after_revision = 0
        """Events up to here are none of the client's business: it has seen them, or asked for later ones."""
        self._pending: list[bytes] | None = []
        self._pending_bytes = 0

    def takes_all(self, revision: int) -> bool:
        """Whether events after `revision` go to the client as soon as they come."""
        return self._pending is None and self.after_revision <= revision

    def send(self, revision: int, line: bytes) -> None:
        """Send the line of the event of `revision`, which the watch selects."""
        if revision <= self.after_revision:
            return
        if self.sizes is not None:
            self.sizes.observe(len(line))
        if self._pending is not None:
            self._pending.append(line)
            self._pending_bytes += len(line)
            if self._pending_bytes > PENDING_BYTES_MAX:
                self._cut_off()
            return
        self.writer.write(line)
        self.cut_off_if_too_slow()

    def cut_off_if_too_slow(self) -> None:
        if self.writer.buffered_bytes > BUFFERED_BYTES_MAX:
            self._cut_off()

    def _cut_off(self) -> None:
        self.writer.abort()
        if self.terminated is not None:
            self.terminated.value += 1
            self.terminated = None

    def go_live(self) -> None:
        """Write what arrived during the initial state; from here on events go straight to the client."""
        pending, self._pending = self._pending, None
        if pending:
            self.writer.write(b"".join(pending))
