"""The SQLite engine: the contract, and what is its own (files, queues, crashes of its disk)."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from podium.store import sqlite_tables as tables
from podium.store.protocol import Compacted, Store, StoreError
from podium.store.sqlite import WRITE_QUEUE_MAX, SqliteStore
from tests.store.contract import StoreContract, error_of, first_changes


class TestSqliteStore(StoreContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Store]:
        store = await SqliteStore.open(folder / "store.db")
        try:
            yield store
        finally:
            await store.close()


class TestSqliteStoreWithTinyQueues(StoreContract):
    """The same with queues for live changes so small that readers keep falling back to the disk."""

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Store]:
        store = await SqliteStore.open(folder / "store.db", feed_changes_max=2, feed_bytes_max=10)
        try:
            yield store
        finally:
            await store.close()


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        await store.create("/a", b"1")
        record = await store.update("/a", b"2", expected_revision=2)
        await store.create("/b", b"")
        await store.delete("/b", expected_revision=0)
        feed = await first_changes(store, "", 3, 2)
        await store.compact(3)
        await store.close()

        store = await SqliteStore.open(str(tmp_path / "store.db"))
        assert await store.current_revision() == 5
        assert list((await store.list("")).records) == [record]
        assert await first_changes(store, "", 3, 2) == feed
        assert isinstance(await error_of(store.list("", revision=2)), Compacted)
        await store.close()

    asyncio.run(main())


def test_the_revision_survives_reopening_after_everything_is_compacted(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        await store.create("/a", b"1")
        await store.delete("/a", expected_revision=0)
        await store.compact(3)
        await store.close()
        store = await SqliteStore.open(tmp_path / "store.db")
        assert (await store.create("/a", b"")).mod_revision == 4
        await store.close()

    asyncio.run(main())


def test_a_second_owner_is_refused_and_the_first_works_on(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        with pytest.raises(StoreError, match=r"store\.db is in use by process \d+"):
            await SqliteStore.open(tmp_path / "store.db")
        await store.create("/a", b"")
        await store.close()
        await (await SqliteStore.open(tmp_path / "store.db")).close()

    asyncio.run(main())


def _text(path: Path) -> None:
    path.write_text("this is a text file, and quite long enough to be looked at")


def _foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url)")
    connection.close()


def _newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {tables.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {tables.FORMAT + 1}")
    connection.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [(_text, "not a database"), (_foreign, "of another program"), (_newer, "written in format 2")],
)
def test_files_that_are_no_store(tmp_path: Path, make: object, message: str) -> None:
    path = tmp_path / "store.db"
    make(path)  # type: ignore[operator]
    for _ in range(2):  # the second time shows that no lock was left behind
        with pytest.raises(StoreError, match=message):
            asyncio.run(SqliteStore.open(path))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        asyncio.run(SqliteStore.open(tmp_path / "nowhere" / "store.db"))


def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    async def main() -> list[int]:
        store = await SqliteStore.open(tmp_path / "store.db")
        await store.create("/a", b"")
        modes = await asyncio.to_thread(lambda: [stat.S_IMODE(f.stat().st_mode) for f in tmp_path.iterdir()])
        await store.close()
        return modes

    assert asyncio.run(main()) == [0o600] * 4


def test_commits_reach_the_disk(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,), "FULL: fsync at each commit"
        await store.close()

    asyncio.run(main())


def test_a_reader_too_far_behind_learns_it(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db", feed_changes_max=4)
        feed = store.changes("", after_revision=1)
        first = asyncio.ensure_future(anext(feed))
        await store.create("/first", b"")
        await first
        for number in range(20):
            await store.create(f"/{number}", b"")
        await store.compact(20)
        with pytest.raises(Compacted) as caught:
            async for batch in feed:
                assert batch[-1].revision < 20, "what was queued is still delivered"
        assert caught.value.oldest == 20
        await store.close()

    asyncio.run(main())


def test_text_that_is_no_key_fails_alone(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        bad, good = await asyncio.gather(
            store.create("\ud800", b""), store.create("/a", b""), return_exceptions=True
        )
        assert isinstance(bad, StoreError)
        assert not isinstance(good, BaseException)
        await store.close()

    asyncio.run(main())


def test_a_cancelled_writer_leaves_the_store_working(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        for turns in range(6):
            writer = asyncio.create_task(store.create(f"/{turns}", b""))
            for _ in range(turns):
                await asyncio.sleep(0)
            writer.cancel()
            await asyncio.wait([writer])
        record = await store.create("/last", b"")
        assert record.mod_revision == await store.current_revision()
        await store.close()

    asyncio.run(main())


def test_the_write_queue_is_bounded_and_callers_wait(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        writers = [asyncio.create_task(store.create(f"/{n}", b"")) for n in range(WRITE_QUEUE_MAX + 500)]
        longest = 0
        while not all(writer.done() for writer in writers):
            await asyncio.sleep(0)
            longest = max(longest, len(store._waiting))
        assert 0 < longest <= WRITE_QUEUE_MAX
        assert await store.current_revision() == 1 + len(writers)
        # Those before the queue learn of the end, too.
        deleters = [asyncio.create_task(store.delete(f"/{n}", expected_revision=0)) for n in range(1500)]
        await asyncio.sleep(0)
        await store.close()
        outcomes = await asyncio.gather(*deleters, return_exceptions=True)
        assert any(isinstance(outcome, StoreError) for outcome in outcomes)

    asyncio.run(main())


def test_a_full_disk_fails_the_writes_and_not_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        await store.create("/a", b"")
        (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
        store._writer.execute(f"PRAGMA max_page_count = {pages}")
        outcomes = await asyncio.gather(
            *(store.create(f"/{n}", b"x" * 10_000) for n in range(5)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [StoreError] * 5
        assert "full" in str(outcomes[0])
        assert await store.current_revision() == 2
        store._writer.execute(f"PRAGMA max_page_count = {pages + 1000}")
        assert (await store.create("/b", b"")).mod_revision == 3
        assert [record.key for record in (await store.list("")).records] == ["/a", "/b"]
        await store.close()

    asyncio.run(main())


def test_compaction_gives_the_space_back(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        record = await store.create("/a", b"")
        for _ in range(50):
            record = await store.update("/a", b"x" * 1000, expected_revision=record.mod_revision)
        await store.create("/b", b"")
        await store.delete("/b", expected_revision=0)
        await store.compact(await store.current_revision())
        assert store._writer.execute("SELECT revision FROM history").fetchall() == [(record.mod_revision,)]
        await store.close()

    asyncio.run(main())


def test_an_interrupted_sweep_is_finished_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    connection = tables.connect(path, cache_kib=100)
    tables.prepare(connection)
    tables.write(connection, tables.Create("/a", b""), 2)
    for revision in range(3, 31):
        tables.write(connection, tables.Update("/a", b"", revision - 1), revision)
    tables.mark_compacted(connection, 20)
    assert tables.sweep(connection, 5)
    connection.close()
    connection = tables.connect(path, cache_kib=100)
    tables.mark_compacted(connection, 25)
    while tables.sweep(connection, 5):
        pass
    rows = connection.execute("SELECT revision FROM history ORDER BY revision").fetchall()
    assert [revision for (revision,) in rows] == list(range(25, 31))
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [tables._LIST_NEWEST, tables._LIST_OLD, tables._CHANGES, tables._GET],
    ids=["list", "list at a revision", "changes", "get"],
)
def test_no_statement_sorts_or_walks_a_whole_table(tmp_path: Path, statement: str) -> None:
    connection = tables.connect(tmp_path / "store.db", cache_kib=100)
    tables.prepare(connection)
    arguments = dict.fromkeys(("low", "high", "revision", "limit", "after", "through"), 1)
    query = connection.execute(
        f"EXPLAIN QUERY PLAN {statement}", (1,) if statement == tables._GET else arguments
    )
    plan = [row[3] for row in query]
    assert not [line for line in plan if line.startswith("SCAN") or "TEMP B-TREE" in line], plan
    connection.close()


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        ("", b""),
        ("/pods/", "/pods0"),
        ("a\ud7ff", "a\ue000"),
        ("a\U0010ffff", "b"),
        ("\U0010ffff", b""),
    ],
)
def test_end_of_prefix(prefix: str, end: str | bytes) -> None:
    assert tables.end_of_prefix(prefix) == end
