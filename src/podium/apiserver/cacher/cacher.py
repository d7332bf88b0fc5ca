"""The watch cache: every stored object in memory, fed by one reader of the store's change feed.

    store.changes("/registry/") -> Cacher.run -> Root.apply -> subscribers, watchers

The feed is the only way in, for this server's own writes too: a write is answered once the cache has seen its
revision, so whoever wrote reads what was written.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from itertools import count

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.cacher.root import Root
from podium.base.log import Log
from podium.base.tasks import in_task
from podium.store.protocol import Change, Compacted, Record, Store, Unreadable

REGISTRY = "/registry/"
ENCRYPTED = b"k8s:enc:"
"""How the stored bytes of everything encrypted begin."""
FRESHNESS_TIMEOUT_S = 3.0
"""How long a read that names a later revision waits for it, as upstream."""

_log = Log("cacher")


class TooHighRevision(Exception):
    """The cache did not reach the revision asked for in time; it is at `current`."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the cache is at revision {current}")
        self.current = current


class Cacher:
    """All roots, and the revision that they all show."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._roots: dict[str, Root] = {}
        self._unclaimed: dict[str, Record] = {}
        """Objects below prefixes that no root claims yet: those of a resource that will be added later."""
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._ticket = count()
        self.revision = 0
        self.started = False

    # --- roots

    def root(self, prefix: str) -> Root:
        """Return the root of `prefix`, such as `/registry/pods/`, adding it when it is new."""
        root = self._roots.get(prefix)
        if root is None:
            root = self._roots[prefix] = Root(prefix)
            claimed = [key for key in self._unclaimed if key.startswith(prefix)]
            records = [self._unclaimed.pop(key) for key in claimed]
            if self.started:
                root.fill((_entry(record, len(prefix)) for record in records), revision=self.revision)
        return root

    def drop(self, prefix: str) -> None:
        """Forget a root whose resource is gone; its objects must have been deleted before."""
        self._roots.pop(prefix, None)

    def roots(self) -> Sequence[Root]:
        return list(self._roots.values())

    def owner(self, key: str) -> Root | None:
        """Return the root that holds `key`, a key of the store; None when nothing claims it."""
        # "/registry/pods/ns/name" or "/registry/services/specs/ns/name": a root has one part or two.
        first = key.find("/", len(REGISTRY)) + 1
        root = self._roots.get(key[:first])
        if root is None:
            root = self._roots.get(key[: key.find("/", first) + 1])
        return root

    # --- feeding

    async def fill(self) -> None:
        """Read the whole store once. Call before `run`."""
        page = await self._store.list(REGISTRY)
        found: dict[str, list[Entry | Unreadable]] = {}
        for record in page.records:
            root = self.owner(record.key)
            if root is None:
                self._unclaimed[record.key] = record
            else:
                found.setdefault(root.prefix, []).append(_entry(record, len(root.prefix)))
        for prefix, root in self._roots.items():
            root.fill(found.get(prefix, ()), revision=page.revision)
        self.started = True
        self._advance(page.revision)

    async def run(self) -> None:
        """Follow the store for ever. Ends only by an error: then the cache is stale and must not serve."""
        try:
            async for batch in self._store.changes(REGISTRY, after_revision=self.revision):
                self._apply(batch)
        except Compacted:
            # Only a reader that stalls for the whole history window gets here: no state is worth saving.
            _log.error("the watch cache fell behind compaction", revision=self.revision)
            raise
        finally:
            self._fail_waiting()

    def _apply(self, batch: Sequence[Change]) -> None:
        for change in batch:
            root = self.owner(change.key)
            record = change.record
            if root is None:
                if record is None:
                    self._unclaimed.pop(change.key, None)
                else:
                    self._unclaimed[change.key] = record
            elif record is None:
                root.apply(change.key[len(root.prefix) :], None, change.revision)
            else:
                entry = _entry(record, len(root.prefix))
                if isinstance(entry, Entry):
                    root.apply(entry.key, entry, change.revision)
                else:
                    _log.error("an object cannot be read", key=record.key, error=entry.error)
                    root.lose(change.key[len(root.prefix) :], entry, change.revision)
            self.revision = change.revision
        self._advance(self.revision)

    async def read_again(self) -> bool:
        """Read what could not be made out once more; return whether some of it still cannot."""
        for root in self.roots():
            for key, unreadable in list(root.unreadable.items()):
                record = await self._store.get(root.prefix + key)
                # What has changed meanwhile comes by the feed.
                if record is None or record.mod_revision != unreadable.mod_revision:
                    continue
                entry = _entry(record, len(root.prefix))
                if isinstance(entry, Entry) and root.unreadable.get(key) is unreadable:
                    root.restore(entry, self.revision)
        return any(root.unreadable for root in self.roots())

    def _advance(self, revision: int) -> None:
        self.revision = revision
        while self._waiting and self._waiting[0][0] <= revision:
            _, _, future = heapq.heappop(self._waiting)
            if not future.done():
                future.set_result(None)

    def _fail_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            if not future.done():
                future.cancel()

    # --- waiting

    async def wait_for(self, revision: int) -> None:
        """Return once the cache shows `revision`."""
        if revision <= self.revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (revision, next(self._ticket), future))
        await future

    async def wait_fresh(self, revision: int, *, timeout_s: float | None = None) -> None:
        """As `wait_for`, but gives up in time. Raises `TooHighRevision`."""
        if revision <= self.revision:
            return
        await in_task()
        try:
            async with asyncio.timeout(FRESHNESS_TIMEOUT_S if timeout_s is None else timeout_s):
                await self.wait_for(revision)
        except TimeoutError:
            raise TooHighRevision(self.revision) from None


def _entry(record: Record, root_length: int) -> Entry | Unreadable:
    """Return a record as the cache keeps it."""
    if isinstance(record, Unreadable):
        return record
    try:
        return Entry.of(record, root_length)
    except ValueError as error:
        # Written by something else, or encrypted, with no configuration that says how.
        encrypted = record.value.startswith(ENCRYPTED)
        why = "identity transformer tried to read encrypted data" if encrypted else str(error)
        return Unreadable(
            key=record.key,
            value=b"",
            create_revision=record.create_revision,
            mod_revision=record.mod_revision,
            error=why,
        )
