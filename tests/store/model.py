"""A store so simple that it is plainly right: every state since the beginning, kept in memory."""

from __future__ import annotations

from podium.store.protocol import (
    Change,
    Compacted,
    FutureRevision,
    KeyExists,
    KeyMissing,
    Page,
    Record,
    RevisionMismatch,
)


class ModelStore:
    """The store's contract as plain synchronous calls."""

    def __init__(self) -> None:
        self.states: list[dict[str, Record]] = [{}, {}]
        """The whole contents at each revision; `states[-1]` is now."""
        self.log: list[Change] = []
        self.oldest = 0

    @property
    def revision(self) -> int:
        return len(self.states) - 1

    def get(self, key: str) -> Record | None:
        return self.states[-1].get(key)

    def create(self, key: str, value: bytes) -> Record:
        if self.get(key):
            raise KeyExists(key)
        revision = self.revision + 1
        record = Record(key=key, value=value, create_revision=revision, mod_revision=revision)
        self._append(key, record)
        return record

    def update(self, key: str, value: bytes, *, expected_revision: int) -> Record:
        current = self._expected(key, expected_revision)
        record = Record(
            key=key,
            value=value,
            create_revision=current.create_revision,
            mod_revision=self.revision + 1,
        )
        self._append(key, record)
        return record

    def delete(self, key: str, *, expected_revision: int) -> Change:
        current = self.get(key)
        self._expected(key, expected_revision or (current.mod_revision if current else 0))
        return self._append(key, None)

    def _expected(self, key: str, expected_revision: int) -> Record:
        current = self.get(key)
        if current is None:
            raise KeyMissing(key)
        if current.mod_revision != expected_revision:
            raise RevisionMismatch(current)
        return current

    def _append(self, key: str, record: Record | None) -> Change:
        change = Change(key=key, revision=self.revision + 1, record=record, previous=self.get(key))
        state = dict(self.states[-1])
        state.pop(key, None)
        if record:
            state[key] = record
        self.states.append(state)
        self.log.append(change)
        return change

    def changes(self, prefix: str, *, after_revision: int) -> list[Change]:
        """Return the feed up to now."""
        if after_revision < self.oldest:
            raise Compacted(self.oldest)
        return [c for c in self.log if c.revision > after_revision and c.key.startswith(prefix)]

    def compact(self, revision: int) -> None:
        if revision > self.revision:
            raise FutureRevision(self.revision)
        self.oldest = max(self.oldest, revision)

    def list(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> Page:
        if revision > self.revision:
            raise FutureRevision(self.revision)
        if revision and revision < self.oldest:
            raise Compacted(self.oldest)
        state = self.states[revision or self.revision]
        found = [state[key] for key in sorted(state) if key.startswith(prefix) and key > start_after]
        shown = found[:limit] if limit else found
        remaining = len(found) - len(shown)
        return Page(
            records=shown, revision=revision or self.revision, more=remaining > 0, remaining=remaining
        )
