"""The cached objects of one storage prefix: sorted keys, recent events, and who watches."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Set

from podium.apiserver.cacher.audience import Audience, Lines
from podium.apiserver.cacher.entry import Entry, Event
from podium.apiserver.cacher.index import INDEXED_FROM, INDEXES_MAX, Index
from podium.apiserver.cacher.selection import Selection, Term
from podium.apiserver.cacher.watcher import Watcher
from podium.machinery.errors import Expired
from podium.store.protocol import Unreadable

EVENTS_KEPT_MAX = 4096
EVENTS_KEPT_BYTES_MAX = 4 * 1024 * 1024
"""How much of the past a root remembers, for watches that come back; older ones are told to list again."""

_Audiences = dict[tuple[Selection, int], Audience]
"""By selection and rendering (its id)."""
_Index = dict[str, _Audiences]
_NOBODY: _Audiences = {}


class Root:
    """All objects below one prefix such as `/registry/pods/`, as of the cache's revision."""

    def __init__(self, prefix: str, *, complete_after: int = 0) -> None:
        self.prefix = prefix
        self.entries: dict[str, Entry] = {}
        self.keys: list[str] = []
        self.unreadable: dict[str, Unreadable] = {}
        """Objects that cannot be decrypted or decoded: they are not among the entries."""
        self.changed_revision = 0
        """The revision of the latest change here."""
        self.size_bytes = 0
        """Of all items."""
        self.events_count = 0
        """Changes taken since the start."""
        self._events: deque[Event] = deque()
        self._events_bytes = 0
        self._complete_after = complete_after
        """Every event with a revision above this is still kept."""
        self._indexes: dict[str, Index] = {}
        """By the name of a term; none until a selector asks."""
        self._subscribers: list[Callable[[Event], None]] = []
        self._watchers: set[Watcher] = set()
        self._by_namespace: _Index = {}
        self._by_key: _Index = {}
        self._by_field: dict[str, _Index] = {}

    # --- content

    def fill(self, entries: Iterable[Entry | Unreadable], *, revision: int) -> None:
        """Take the initial state, read at `revision`. The root must be empty and unwatched."""
        assert not self.entries and not self._watchers
        start = len(self.prefix)
        for entry in entries:
            if isinstance(entry, Entry):
                self.entries[entry.key] = entry
            else:
                self.unreadable[entry.key[start:]] = entry
        self.keys = sorted(self.entries)
        self.size_bytes = sum(len(entry.item) for entry in self.entries.values())
        self.changed_revision = max((entry.revision for entry in self.entries.values()), default=0)
        self._complete_after = revision
        for entry in self.entries.values():
            for subscriber in self._subscribers:
                subscriber(Event(entry.revision, entry, None))

    def apply(self, key: str, entry: Entry | None, revision: int) -> None:
        """Take one change, tell subscribers and watchers. Changes come in the order of their revisions."""
        previous = self.entries.get(key)
        if self.unreadable:
            self.unreadable.pop(key, None)
        if entry is not None:
            if previous is None:
                insort(self.keys, key)
            self.entries[key] = entry
            self.size_bytes += len(entry.item)
        else:
            if previous is None:
                return
            del self.entries[key]
            del self.keys[bisect_left(self.keys, key)]
        if previous is not None:
            self.size_bytes -= len(previous.item)
        self.changed_revision = revision
        self.events_count += 1
        for index in self._indexes.values():
            index.change(previous, entry)
        event = Event(revision, entry, previous)
        self._keep(event)
        for subscriber in self._subscribers:
            subscriber(event)
        if self._watchers:
            lines: Lines = {}
            for audience in self._interested(key, event):
                audience.offer(event, lines)

    def lose(self, key: str, unreadable: Unreadable, revision: int) -> None:
        """Take a change that cannot be made out. Nobody is told what has become of the object, for nobody
        knows: who watches is cut off, and reads afresh."""
        self.unreadable[key] = unreadable
        previous = self.entries.pop(key, None)
        if previous is not None:
            del self.keys[bisect_left(self.keys, key)]
            for index in self._indexes.values():
                index.change(previous, None)
        self._begin_anew(revision)

    def restore(self, entry: Entry, revision: int) -> None:
        """Take an object that could not be made out, and now can; `revision` is the cache's."""
        del self.unreadable[entry.key]
        insort(self.keys, entry.key)
        self.entries[entry.key] = entry
        for index in self._indexes.values():
            index.change(None, entry)
        event = Event(entry.revision, entry, None)
        for subscriber in self._subscribers:
            subscriber(event)
        self._begin_anew(revision)

    def _begin_anew(self, revision: int) -> None:
        """Have all watchers, also those who come back, list again."""
        self.changed_revision = revision
        self._events.clear()
        self._events_bytes = 0
        self._complete_after = revision
        self.close()

    def _keep(self, event: Event) -> None:
        self._events.append(event)
        self._events_bytes += event.size_bytes
        while len(self._events) > EVENTS_KEPT_MAX or self._events_bytes > EVENTS_KEPT_BYTES_MAX:
            dropped = self._events.popleft()
            self._events_bytes -= dropped.size_bytes
            self._complete_after = dropped.revision

    def range(self, prefix: str, *, after: str = "") -> Iterator[Entry]:
        """Yield entries whose key begins with `prefix` and sorts after `after`, in key order."""
        start, stop = self._bounds(prefix, after)
        return map(self.entries.__getitem__, self.keys[start:stop])

    def _bounds(self, prefix: str, after: str) -> tuple[int, int]:
        """Return where in `keys` those are that begin with `prefix` and sort after `after`."""
        start = bisect_left(self.keys, prefix) if prefix else 0
        if after:
            start = max(start, bisect_right(self.keys, after))
        stop = bisect_left(self.keys, prefix[:-1] + chr(ord(prefix[-1]) + 1)) if prefix else len(self.keys)
        return start, stop

    def candidates(self, selection: Selection, *, after: str = "") -> Sequence[Entry] | None:
        """Return the entries that an index says may be selected, in key order; None when none helps."""
        if len(self.entries) < INDEXED_FROM:
            return None
        found: Set[str] | None = None
        for term in selection.terms():
            index = self._index(term)
            if index is not None:
                keys = index.keys(term.value)
                if found is None or len(keys) < len(found):
                    found = keys
        if found is None:
            return None
        prefix, entries = selection.prefix, self.entries
        return [entries[key] for key in sorted(found) if key.startswith(prefix) and key > after]

    def _index(self, term: Term) -> Index | None:
        index = self._indexes.get(term.name)
        if index is None and len(self._indexes) < INDEXES_MAX:
            index = self._indexes[term.name] = Index(term.value_of, self.entries.values())
        return index

    def count(self, prefix: str, *, after: str = "") -> int:
        """Return how many entries `range` would yield."""
        start, stop = self._bounds(prefix, after)
        return max(0, stop - start)

    def select(self, selection: Selection) -> list[Entry]:
        """Return the selected entries in key order."""
        if selection.name:
            entry = self.entries.get(selection.prefix + selection.name)
            return [entry] if entry is not None and selection.matches(entry) else []
        if selection.everything:
            return list(self.range(selection.prefix))
        matches = selection.matches
        candidates = self.candidates(selection)
        looked_at = self.range(selection.prefix) if candidates is None else candidates
        return [entry for entry in looked_at if matches(entry)]

    # --- followers

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Call `subscriber` for each entry there is, as a creation, and for each event from then on."""
        for key in self.keys:
            entry = self.entries[key]
            subscriber(Event(entry.revision, entry, None))
        self._subscribers.append(subscriber)

    def events_after(self, revision: int) -> list[Event]:
        """Return the events after `revision`, oldest first.

        Raises `Expired` when some of them are no longer kept.
        """
        if revision < self._complete_after:
            raise Expired(f"too old resource version: {revision} ({self._complete_after})")
        found: list[Event] = []
        for event in reversed(self._events):
            if event.revision <= revision:
                break
            found.append(event)
        found.reverse()
        return found

    def add(self, watcher: Watcher) -> None:
        """Offer every later event of the watcher's range to it."""
        self._watchers.add(watcher)
        index, key = self._place(watcher)
        audiences = index.setdefault(key, {})
        same = _same(watcher)
        if same not in audiences:
            audiences[same] = Audience(watcher.selection, watcher.rendering)
        audiences[same].add(watcher)

    def remove(self, watcher: Watcher) -> None:
        self._watchers.discard(watcher)
        index, key = self._place(watcher)
        audiences, same = index.get(key, {}), _same(watcher)
        if same in audiences:
            audiences[same].remove(watcher)
            if not audiences[same]:
                del audiences[same]
                if not audiences:
                    del index[key]

    def close(self) -> None:
        """Cut off every watcher: the resource is gone, or has to be read afresh."""
        for watcher in tuple(self._watchers):
            watcher.writer.abort()

    @property
    def watcher_count(self) -> int:
        return len(self._watchers)

    def watching(self, namespace: str, name: str) -> int:
        """Return how many watchers may want to know of a change to an object, but for those that select by a
        field: few of them are ever about the same object. `name` may be unknown."""
        if not self._watchers:
            return 0
        found = sum(map(len, self._by_namespace.get("", _NOBODY).values()))
        if namespace:
            found += sum(map(len, self._by_namespace.get(namespace, _NOBODY).values()))
        if name:
            key = f"{namespace}/{name}" if namespace else name
            found += sum(map(len, self._by_key.get(key, _NOBODY).values()))
        return found

    def _place(self, watcher: Watcher) -> tuple[_Index, str]:
        """Return the narrowest index that holds `watcher`: a thousand kubelets that each watch the pods of
        their node must not each look at every pod."""
        selection = watcher.selection
        if selection.name:
            return self._by_key, selection.prefix + selection.name
        for requirement in selection.fields:
            if requirement.getter is not None and not requirement.negative:
                return self._by_field.setdefault(requirement.path, {}), requirement.value
        return self._by_namespace, selection.namespace

    def _interested(self, key: str, event: Event) -> Iterator[Audience]:
        # Copies, because offering an event may abort a watcher, which removes it.
        yield from tuple(self._by_namespace.get("", {}).values())
        if "/" in key:
            yield from tuple(self._by_namespace.get(key.partition("/")[0], {}).values())
        yield from tuple(self._by_key.get(key, {}).values())
        for path, index in self._by_field.items():
            if index:
                yield from self._interested_by_field(path, index, key, event)

    def _interested_by_field(self, path: str, index: _Index, key: str, event: Event) -> Iterator[Audience]:
        sample = next(iter(next(iter(index.values())).values()))
        getter = next(field.getter for field in sample.selection.fields if field.path == path)
        assert getter is not None
        values = {entry.value(path, getter) for entry in (event.entry, event.previous) if entry is not None}
        for value in values:
            for audience in tuple(index.get(value, {}).values()):
                if audience.selection.in_range(key):
                    yield audience


def _same(watcher: Watcher) -> tuple[Selection, int]:
    """Return what watchers have in common that see the same."""
    return watcher.selection, id(watcher.rendering)
