"""The SQLite engine against the model, by random walks of calls, reopenings and compactions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from podium.store.protocol import Change, StoreError
from podium.store.sqlite import SqliteStore
from tests.store.contract import first_changes
from tests.store.model import ModelStore

T = TypeVar("T")

KEYS = st.sampled_from(["/a", "/a/1", "/a/2", "/a-b/1", "/b/ä", "/b/\U0001f389", "/b\0"])
PREFIXES = st.sampled_from(["", "/", "/a", "/a/", "/b", "/b/", "/nothing/"])
VALUES = st.binary(max_size=3)
BACK = st.integers(min_value=-1, max_value=6)
"""How far behind the current revision (or one before it, in the future) to ask."""


def outcome(call: Callable[[], T]) -> object:
    """Return what a call returns, or what it raises in a form that can be compared."""
    try:
        return call()
    except StoreError as error:
        return (type(error), getattr(error, "current", None), getattr(error, "oldest", None))


class SqliteAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="podium-store-"))
        self.runner = asyncio.Runner()
        self.model = ModelStore()
        self.open()

    def open(self) -> None:
        path = self.folder / "store.db"
        self.store = self.runner.run(SqliteStore.open(path, feed_changes_max=3))

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def expected(self, key: str, back: int) -> int:
        """Return a revision to compare with: mostly the right one."""
        current = self.model.get(key)
        return current.mod_revision if current and back >= 0 else max(0, self.model.revision - 2)

    @rule(key=KEYS, value=VALUES)
    def create(self, key: str, value: bytes) -> None:
        answer = outcome(lambda: self.runner.run(self.store.create(key, value)))
        assert answer == outcome(lambda: self.model.create(key, value))

    @rule(key=KEYS, value=VALUES, back=BACK)
    def update(self, key: str, value: bytes, back: int) -> None:
        expected = self.expected(key, back)
        answer = outcome(lambda: self.runner.run(self.store.update(key, value, expected_revision=expected)))
        assert answer == outcome(lambda: self.model.update(key, value, expected_revision=expected))

    @rule(key=KEYS, back=BACK)
    def delete(self, key: str, back: int) -> None:
        expected = self.expected(key, back)
        answer = outcome(lambda: self.runner.run(self.store.delete(key, expected_revision=expected)))
        assert answer == outcome(lambda: self.model.delete(key, expected_revision=expected))

    @rule(keys=st.lists(KEYS, min_size=2, max_size=6), value=VALUES)
    def write_together(self, keys: list[str], value: bytes) -> None:
        """Writes that share a transaction take place in the order in which they were asked for."""
        revisions = [self.expected(key, 0) for key in keys]

        async def write(key: str, revision: int) -> object:
            try:
                if revision:
                    return await self.store.update(key, value, expected_revision=revision)
                return await self.store.create(key, value)
            except StoreError as error:
                return type(error)

        async def together() -> list[object]:
            return await asyncio.gather(*(write(*pair) for pair in zip(keys, revisions, strict=True)))

        def one(key: str, revision: int) -> object:
            try:
                if revision:
                    return self.model.update(key, value, expected_revision=revision)
                return self.model.create(key, value)
            except StoreError as error:
                return type(error)

        answers = self.runner.run(together())
        assert answers == [one(*pair) for pair in zip(keys, revisions, strict=True)]

    @rule(prefix=PREFIXES, after=st.one_of(st.just(""), KEYS), limit=st.integers(0, 3), back=BACK)
    def list(self, prefix: str, after: str, limit: int, back: int) -> None:
        arguments = {"start_after": after, "limit": limit, "revision": max(0, self.model.revision - back)}
        answer = outcome(lambda: self.runner.run(self.store.list(prefix, **arguments)))  # type: ignore[arg-type]
        assert answer == outcome(lambda: self.model.list(prefix, **arguments))  # type: ignore[arg-type]

    @rule(prefix=PREFIXES, back=st.integers(0, 6))
    def changes(self, prefix: str, back: int) -> None:
        after = max(1, self.model.revision - back)
        expected = outcome(lambda: self.model.changes(prefix, after_revision=after))
        if expected == []:
            return  # the feed would wait

        def read() -> list[Change]:
            assert isinstance(expected, (list, tuple))
            return self.runner.run(first_changes(self.store, prefix, after, len(expected)))

        assert outcome(read) == expected

    @rule(back=BACK)
    def compact(self, back: int) -> None:
        revision = max(0, self.model.revision - back)
        answer = outcome(lambda: self.runner.run(self.store.compact(revision)))
        assert answer == outcome(lambda: self.model.compact(revision))

    @precondition(lambda self: self.model.revision > 1)
    @rule()
    def reopen(self) -> None:
        self.runner.run(self.store.close())
        self.open()

    @invariant()
    def same_contents(self) -> None:
        assert self.runner.run(self.store.current_revision()) == self.model.revision
        page = self.runner.run(self.store.list(""))
        assert page == self.model.list("")
        for record in page.records:
            assert self.runner.run(self.store.get(record.key)) == record


SqliteAgainstModel.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestSqliteAgainstModel = SqliteAgainstModel.TestCase
