"""What a store is: etcd's model, narrowed to what an API server needs.

One counter, the *revision*, numbers every change in the whole store. A record remembers the revision that
created it and the one that last modified it; writes compare against the latter. Changes are read back in
order as a feed, from any revision that compaction has not removed.

Engines prove themselves against `tests/store/contract.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One key's value at some revision."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable(Record):
    """A record whose value cannot be made out, encrypted as it is; `value` is empty."""

    error: str
    """Why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the change feed. `record` is None for a deletion; `previous` is None for a creation."""

    key: str
    revision: int
    record: Record | None
    previous: Record | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Records of a range in key order, all as of `revision`; `more` tells that `limit` cut it short."""

    records: Sequence[Record]
    revision: int
    more: bool
    remaining: int
    """How many records of the range follow the last one returned."""


class StoreError(Exception):
    """The root of what a store raises by contract."""


class KeyExists(StoreError):
    """create() found the key taken."""


class KeyMissing(StoreError):
    """update() or delete() found no such key."""


class RevisionMismatch(StoreError):
    """The record is not at the expected revision. Carries the record as it is."""

    def __init__(self, current: Record) -> None:
        super().__init__(f"{current.key} is at revision {current.mod_revision}")
        self.current = current


class Compacted(StoreError):
    """The revision asked for is older than the oldest one kept, which is `oldest`."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"compacted; the oldest revision kept is {oldest}")
        self.oldest = oldest


class FutureRevision(StoreError):
    """The revision asked for has not been reached; the store is at `current`."""

    def __init__(self, current: int) -> None:
        super().__init__(f"the store is at revision {current}")
        self.current = current


class Store(Protocol):
    """A durable, versioned map from string keys to bytes. Every write is on disk before its call returns."""

    async def current_revision(self) -> int:
        """Return the revision of the latest acknowledged change; 1 in an empty store, as in etcd."""
        ...

    async def get(self, key: str) -> Record | None:
        """Return the newest record of `key`, or None."""
        ...

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> Page:
        """Return the records whose key begins with `prefix`, in key order, as of `revision` (0: now).

        `start_after` skips keys up to and including it; `limit` 0 means all.
        Raises `Compacted` or `FutureRevision`.
        """
        ...

    async def create(self, key: str, value: bytes) -> Record:
        """Write a key that must not exist. Raises `KeyExists`."""
        ...

    async def update(self, key: str, value: bytes, *, expected_revision: int) -> Record:
        """Replace a value whose mod_revision must be `expected_revision`.

        Raises `KeyMissing` or `RevisionMismatch`.
        """
        ...

    async def delete(self, key: str, *, expected_revision: int) -> Change:
        """Remove a key whose mod_revision must be `expected_revision` (0: any); return the change with its
        revision and the removed record as `previous`. Raises `KeyMissing` or `RevisionMismatch`.
        """
        ...

    def changes(self, prefix: str, *, after_revision: int) -> AsyncIterator[Sequence[Change]]:
        """Yield every change under `prefix` with a revision above `after_revision`, oldest first, in batches
        as they are committed, without end. Raises `Compacted`, also when the reader has fallen behind the
        oldest revision kept. A slow reader never delays a writer.
        """
        ...

    async def compact(self, revision: int) -> None:
        """Forget everything that only a reader below `revision` could see. Raises `FutureRevision`."""
        ...

    async def close(self) -> None:
        """Flush and release everything. Pending calls fail with `StoreError`."""
        ...
