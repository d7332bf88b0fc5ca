"""The watches that show the same: what an event is to them is decided and encoded once for all."""

from __future__ import annotations

from podium.apiserver.cacher.entry import Entry, Event
from podium.apiserver.cacher.selection import Selection
from podium.apiserver.cacher.watcher import Rendering, Watcher
from podium.base.http.stream import Stream

Lines = dict[tuple[int, str], bytes]
"""Lines already encoded for the event at hand, by rendering (its id) and type."""


class Audience:
    """Watchers of one selection in one rendering, often all but one of them streams that want every event."""

    __slots__ = ("_apart", "_everything", "_streams", "rendering", "selection")

    def __init__(self, selection: Selection, rendering: Rendering) -> None:
        self.selection = selection
        self.rendering = rendering
        self._everything = selection.everything
        self._apart: set[Watcher] = set()
        """Those that are told one by one: not live yet, or not an HTTP stream."""
        self._streams: dict[Stream, Watcher] = {}

    def __len__(self) -> int:
        return len(self._apart) + len(self._streams)

    def add(self, watcher: Watcher) -> None:
        self._apart.add(watcher)

    def remove(self, watcher: Watcher) -> None:
        self._apart.discard(watcher)
        if isinstance(watcher.writer, Stream):
            self._streams.pop(watcher.writer, None)

    def offer(self, event: Event, lines: Lines) -> None:
        """Send `event` if it concerns these watches; it is in the selection's range of keys."""
        line = self.line(event, lines)
        if line is not None:
            self._send(event.revision, line)

    def line(self, event: Event, lines: Lines) -> bytes | None:
        """Return what these watches show of `event`, None if it does not concern them."""
        entry, previous = event.entry, event.previous
        if self._everything:
            now, before = entry is not None, previous is not None
        else:
            now = entry is not None and self.selection.matches(entry)
            before = previous is not None and self.selection.matches(previous)
        if now:
            assert entry is not None
            return self._encoded("MODIFIED" if before else "ADDED", entry, lines)
        return self._encoded("DELETED", event.departed(), lines) if before else None

    def _encoded(self, type: str, entry: Entry, lines: Lines) -> bytes:
        key = (id(self.rendering), type)
        line = lines.get(key)
        if line is None:
            line = lines[key] = self.rendering.line(type, entry)
        return line

    def _send(self, revision: int, line: bytes) -> None:
        if self._streams:
            sizes = next(iter(self._streams.values())).sizes
            if sizes is not None:
                sizes.observe(len(line), times=len(self._streams))
            for slow in Stream.write_to_all(self._streams, line):
                self._streams[slow].cut_off_if_too_slow()
        # A copy, because a watcher that is cut off may leave at once.
        for watcher in tuple(self._apart):
            watcher.send(revision, line)
            if isinstance(watcher.writer, Stream) and watcher.takes_all(revision):
                self._apart.discard(watcher)
                self._streams[watcher.writer] = watcher
