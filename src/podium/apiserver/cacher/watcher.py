"""One watch: turns events into lines for one client, and cuts it off when it cannot keep up."""

from __future__ import annotations

from typing import Protocol

from podium.apiserver.cacher.entry import Entry, Event
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


Lines = dict[tuple[int, str], bytes]
"""Lines already encoded for the event at hand, by rendering (its id) and type."""


class Watcher:
    """Receives events from its root, synchronously and in order, and writes them to its client."""

    __slots__ = (
        "_pending",
        "_pending_bytes",
        "after_revision",
        "everything",
        "rendering",
        "selection",
        "sizes",
        "terminated",
        "writer",
    )

    def __init__(self, writer: StreamWriter, selection: Selection, rendering: Rendering) -> None:
        self.writer = writer
        self.selection = selection
        self.everything = selection.everything
        self.rendering = rendering
        self.sizes: Histogram | None = None
        """Told the size of each event sent."""
        self.terminated: Counter | None = None
        """Told once when the client is cut off because it is too slow."""
        self.after_revision = 0
        """Events up to here are none of the client's business: it has seen them, or asked for later ones."""
        self._pending: list[bytes] | None = []
        self._pending_bytes = 0

    def offer(self, event: Event, lines: Lines) -> None:
        """Send `event` if it concerns this watch; it is in the selection's range of keys."""
        if event.revision <= self.after_revision:
            return
        entry, previous = event.entry, event.previous
        if self.everything:
            now, before = entry is not None, previous is not None
        else:
            now = entry is not None and self.selection.matches(entry)
            before = previous is not None and self.selection.matches(previous)
        if now:
            assert entry is not None
            self._send("MODIFIED" if before else "ADDED", entry, lines)
        elif before:
            self._send("DELETED", event.departed(), lines)

    def _send(self, type: str, entry: Entry, lines: Lines) -> None:
        key = (id(self.rendering), type)
        line = lines.get(key)
        if line is None:
            line = lines[key] = self.rendering.line(type, entry)
        if self.sizes is not None:
            self.sizes.observe(len(line))
        if self._pending is not None:
            self._pending.append(line)
            self._pending_bytes += len(line)
            if self._pending_bytes > PENDING_BYTES_MAX:
                self._cut_off()
            return
        self.writer.write(line)
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
