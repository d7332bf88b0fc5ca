"""What every store engine must do: an engine is tested by a subclass of `StoreContract` that makes stores."""

from __future__ import annotations

import asyncio
import functools
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from typing import Any

import pytest

from podium.store.protocol import (
    Change,
    Compacted,
    FutureRevision,
    KeyExists,
    KeyMissing,
    Record,
    RevisionMismatch,
    Store,
    StoreError,
)

PATIENCE_S = 20


def scenario(
    test: Callable[[Any, Store], Coroutine[Any, Any, None]],
) -> Callable[[StoreContract, Path], None]:
    """Make a test that gets an empty store out of a coroutine function."""

    @functools.wraps(test)
    def run(self: StoreContract, tmp_path: Path) -> None:
        async def main() -> None:
            async with self.opened(tmp_path) as store, asyncio.timeout(PATIENCE_S):
                await test(self, store)

        asyncio.run(main())

    # pytest reads the signature to find fixtures, and would follow this to the coroutine function's.
    del run.__dict__["__wrapped__"]
    return run


async def first_changes(store: Store, prefix: str, after_revision: int, count: int) -> list[Change]:
    """Return the first `count` changes of a feed."""
    found: list[Change] = []
    async with aclosing(store.changes(prefix, after_revision=after_revision)) as feed:  # type: ignore[type-var]
        async for batch in feed:
            assert batch, "batches are not empty"
            found += batch
            if len(found) >= count:
                break
    return found


async def error_of(awaitable: Awaitable[object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        await awaitable
    return caught.value


class StoreContract(ABC):
    @abstractmethod
    def opened(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        """Return an empty store, closed on leaving."""

    # Single keys

    @scenario
    async def test_an_empty_store_is_at_revision_1(self, store: Store) -> None:
        assert await store.current_revision() == 1
        assert await store.get("/a") is None
        page = await store.list("")
        assert (list(page.records), page.revision, page.more, page.remaining) == ([], 1, False, 0)

    @scenario
    async def test_create_then_get(self, store: Store) -> None:
        record = await store.create("/a", b"1")
        assert record == Record(key="/a", value=b"1", create_revision=2, mod_revision=2)
        assert await store.get("/a") == record
        assert await store.current_revision() == 2

    @scenario
    async def test_create_of_a_taken_key(self, store: Store) -> None:
        await store.create("/a", b"1")
        assert isinstance(await error_of(store.create("/a", b"2")), KeyExists)
        assert await store.current_revision() == 2, "a refused write takes no revision"
        record = await store.get("/a")
        assert record and record.value == b"1"

    @scenario
    async def test_update_keeps_the_create_revision(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        updated = await store.update("/a", b"2", expected_revision=created.mod_revision)
        assert updated == Record(key="/a", value=b"2", create_revision=2, mod_revision=3)
        assert await store.get("/a") == updated

    @scenario
    async def test_update_at_a_stale_revision_carries_the_current_record(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        updated = await store.update("/a", b"2", expected_revision=created.mod_revision)
        for expected in (created.mod_revision, updated.mod_revision + 1, 0):
            error = await error_of(store.update("/a", b"3", expected_revision=expected))
            assert isinstance(error, RevisionMismatch)
            assert error.current == updated

    @scenario
    async def test_update_of_a_missing_key(self, store: Store) -> None:
        assert isinstance(await error_of(store.update("/a", b"1", expected_revision=0)), KeyMissing)

    @scenario
    async def test_delete_returns_the_removed_record(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        change = await store.delete("/a", expected_revision=created.mod_revision)
        assert change == Change(key="/a", revision=3, record=None, previous=created)
        assert await store.get("/a") is None
        assert await store.current_revision() == 3

    @scenario
    async def test_delete_at_any_and_at_a_stale_revision(self, store: Store) -> None:
        created = await store.create("/a", b"1")
        error = await error_of(store.delete("/a", expected_revision=created.mod_revision + 1))
        assert isinstance(error, RevisionMismatch)
        assert error.current == created
        assert (await store.delete("/a", expected_revision=0)).previous == created
        assert isinstance(await error_of(store.delete("/a", expected_revision=0)), KeyMissing)

    @scenario
    async def test_a_key_made_again_is_a_new_record(self, store: Store) -> None:
        await store.create("/a", b"1")
        await store.delete("/a", expected_revision=0)
        again = await store.create("/a", b"1")
        assert (again.create_revision, again.mod_revision) == (4, 4)

    @scenario
    async def test_values_are_any_bytes(self, store: Store) -> None:
        for number, value in enumerate((b"", b"\0\xff\0", b"x" * 1_500_000)):
            await store.create(f"/{number}", value)
            record = await store.get(f"/{number}")
            assert record and record.value == value

    @scenario
    async def test_many_writers_of_one_key_one_wins(self, store: Store) -> None:
        created = await store.create("/a", b"")
        outcomes = await asyncio.gather(
            *(store.update("/a", b"%d" % n, expected_revision=created.mod_revision) for n in range(50)),
            return_exceptions=True,
        )
        won = [outcome for outcome in outcomes if isinstance(outcome, Record)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, RevisionMismatch)]
        assert (len(won), len(lost)) == (1, 49)
        assert all(error.current == won[0] for error in lost)

    @scenario
    async def test_concurrent_writes_have_revisions_without_gaps(self, store: Store) -> None:
        records = await asyncio.gather(*(store.create(f"/{n}", b"") for n in range(300)))
        assert sorted(record.mod_revision for record in records) == list(range(2, 302))

    # Lists

    @scenario
    async def test_list_is_in_key_order_and_within_the_prefix(self, store: Store) -> None:
        for key in ("/b/2", "/a/1", "/b/10", "/b", "/b0", "/b/ä", "/b/\U0010ffff", "/c"):
            await store.create(key, key.encode())
        page = await store.list("/b/")
        assert [record.key for record in page.records] == ["/b/10", "/b/2", "/b/ä", "/b/\U0010ffff"]
        assert [record.value for record in page.records] == [record.key.encode() for record in page.records]
        assert page.revision == await store.current_revision()
        assert len((await store.list("")).records) == 8

    @scenario
    async def test_list_orders_namespaces_as_keys_do(self, store: Store) -> None:
        for key in ("/pods/x/a", "/pods/x-b/a"):
            await store.create(key, b"")
        assert [r.key for r in (await store.list("/pods/")).records] == ["/pods/x-b/a", "/pods/x/a"]

    @scenario
    async def test_list_by_pages(self, store: Store) -> None:
        for number in range(7):
            await store.create(f"/k/{number}", b"")
        await store.create("/l", b"")
        first = await store.list("/k/", limit=3)
        assert ([r.key for r in first.records], first.more, first.remaining) == (
            ["/k/0", "/k/1", "/k/2"],
            True,
            4,
        )
        # What happens between the pages is not seen: later pages are asked for at the first one's revision.
        await store.delete("/k/4", expected_revision=0)
        await store.create("/k/45", b"")
        second = await store.list("/k/", start_after="/k/2", limit=3, revision=first.revision)
        assert ([r.key for r in second.records], second.more, second.remaining) == (
            ["/k/3", "/k/4", "/k/5"],
            True,
            1,
        )
        third = await store.list("/k/", start_after="/k/5", limit=3, revision=first.revision)
        assert ([r.key for r in third.records], third.more, third.remaining) == (["/k/6"], False, 0)
        assert third.revision == first.revision
        exact = await store.list("/k/", limit=7)
        assert (len(exact.records), exact.more, exact.remaining) == (7, False, 0)

    @scenario
    async def test_start_after_outside_the_prefix(self, store: Store) -> None:
        await store.create("/k/1", b"")
        assert len((await store.list("/k/", start_after="/a")).records) == 1
        assert len((await store.list("/k/", start_after="/z")).records) == 0

    @scenario
    async def test_list_at_an_old_revision(self, store: Store) -> None:
        one = await store.create("/a", b"1")
        two = await store.update("/a", b"2", expected_revision=2)
        await store.delete("/a", expected_revision=0)
        three = await store.create("/a", b"3")
        other = await store.create("/b", b"")
        seen = [list((await store.list("", revision=revision)).records) for revision in range(1, 7)]
        assert seen == [[], [one], [two], [], [three], [three, other]]

    @scenario
    async def test_list_at_a_future_revision(self, store: Store) -> None:
        await store.create("/a", b"")
        error = await error_of(store.list("", revision=3))
        assert isinstance(error, FutureRevision)
        assert error.current == 2

    # Changes

    @scenario
    async def test_changes_from_the_start(self, store: Store) -> None:
        one = await store.create("/a", b"1")
        two = await store.update("/a", b"2", expected_revision=2)
        await store.delete("/a", expected_revision=0)
        three = await store.create("/a", b"3")
        assert await first_changes(store, "", 1, 4) == [
            Change(key="/a", revision=2, record=one, previous=None),
            Change(key="/a", revision=3, record=two, previous=one),
            Change(key="/a", revision=4, record=None, previous=two),
            Change(key="/a", revision=5, record=three, previous=None),
        ]

    @scenario
    async def test_changes_are_those_above_a_revision_and_under_a_prefix(self, store: Store) -> None:
        for key in ("/a/1", "/b/1", "/a/2", "/b/2", "/a0"):
            await store.create(key, b"")
        assert [c.key for c in await first_changes(store, "/a/", 2, 1)] == ["/a/2"]
        assert [c.key for c in await first_changes(store, "/b/", 1, 2)] == ["/b/1", "/b/2"]

    @scenario
    async def test_live_changes_are_those_of_the_disk(self, store: Store) -> None:
        reader = asyncio.create_task(first_changes(store, "/a", 1, 3))
        await asyncio.sleep(0)
        await store.create("/a", b"1")
        await store.create("/b", b"1")
        await store.update("/a", b"2", expected_revision=2)
        await store.delete("/a", expected_revision=0)
        live = await reader
        assert live == await first_changes(store, "/a", 1, 3)

    @scenario
    async def test_a_reader_that_joins_in_a_write_storm_misses_nothing(self, store: Store) -> None:
        async def writer(name: int) -> None:
            for number in range(40):
                await store.create(f"/{name}/{number}", b"")

        async def reader(after: int) -> list[int]:
            return [change.revision for change in await first_changes(store, "", after, 641 - after)]

        async with asyncio.TaskGroup() as group:
            for name in range(16):
                group.create_task(writer(name))
            readers = []
            while (revision := await store.current_revision()) < 500:
                readers.append((revision, group.create_task(reader(revision // 2 + 1))))
                await store.list("", limit=1)
        for revision, task in readers:
            assert task.result()[: 641 - revision // 2 - 1] == list(range(revision // 2 + 2, 642))

    @scenario
    async def test_every_reader_sees_a_change_before_or_when_its_writer_does(self, store: Store) -> None:
        feed = aiter(store.changes("", after_revision=1))
        waiting = asyncio.ensure_future(anext(feed))
        await store.create("/a", b"")
        assert (await waiting)[0].key == "/a"
        await feed.aclose()  # type: ignore[attr-defined]

    @scenario
    async def test_a_reader_that_does_not_read_delays_nobody_and_loses_nothing(self, store: Store) -> None:
        feed = aiter(store.changes("", after_revision=1))
        first = asyncio.ensure_future(anext(feed))
        await store.create("/first", b"")
        seen = len(await first)
        for start in range(0, 3000, 200):
            await asyncio.gather(*(store.create(f"/{n}", b"") for n in range(start, start + 200)))
        revisions: list[int] = []
        async for batch in feed:
            revisions += [change.revision for change in batch]
            if len(revisions) + seen == 3001:
                break
        assert revisions == list(range(seen + 2, 3003))
        await feed.aclose()  # type: ignore[attr-defined]

    @scenario
    async def test_changes_after_a_revision_not_yet_reached(self, store: Store) -> None:
        reader = asyncio.create_task(first_changes(store, "", 3, 1))
        await asyncio.sleep(0)
        for number in range(3):
            await store.create(f"/{number}", b"")
        assert [change.revision for change in await reader] == [4]

    # Compaction

    @scenario
    async def test_compaction_keeps_what_can_still_be_asked_for(self, store: Store) -> None:
        for number in range(5):
            await store.create(f"/{number}", b"old")
            await store.update(f"/{number}", b"new", expected_revision=2 * number + 2)
        await store.delete("/4", expected_revision=0)
        before = {r: list((await store.list("", revision=r)).records) for r in range(7, 13)}
        feed = await first_changes(store, "", 7, 5)
        await store.compact(7)
        after = {r: list((await store.list("", revision=r)).records) for r in range(7, 13)}
        assert after == before
        assert await first_changes(store, "", 7, 5) == feed
        error = await error_of(store.list("", revision=6))
        assert isinstance(error, Compacted)
        assert error.oldest == 7
        assert isinstance(await error_of(first_changes(store, "", 5, 1)), Compacted)
        assert len((await store.list("")).records) == 4

    @scenario
    async def test_compaction_of_everything_keeps_the_revision(self, store: Store) -> None:
        await store.create("/a", b"1")
        await store.delete("/a", expected_revision=0)
        await store.compact(3)
        assert await store.current_revision() == 3
        assert (await store.create("/b", b"")).mod_revision == 4

    @scenario
    async def test_compaction_never_goes_back(self, store: Store) -> None:
        for number in range(4):
            await store.create(f"/{number}", b"")
        await store.compact(4)
        await store.compact(2)
        error = await error_of(store.list("", revision=3))
        assert isinstance(error, Compacted)
        assert error.oldest == 4

    @scenario
    async def test_compaction_of_the_future(self, store: Store) -> None:
        error = await error_of(store.compact(2))
        assert isinstance(error, FutureRevision)
        assert error.current == 1

    @scenario
    async def test_a_live_reader_outlives_compaction(self, store: Store) -> None:
        await store.create("/quiet/1", b"")
        reader = asyncio.create_task(first_changes(store, "/quiet/", 2, 1))
        await store.list("", limit=1)
        for number in range(20):
            await store.create(f"/busy/{number}", b"")
        await store.compact(await store.current_revision())
        await store.create("/quiet/2", b"")
        assert [change.key for change in await reader] == ["/quiet/2"]

    @scenario
    async def test_compaction_in_a_write_storm(self, store: Store) -> None:
        async def writer(key: str) -> None:
            record = await store.create(key, b"0")
            for number in range(60):
                record = await store.update(key, b"%d" % number, expected_revision=record.mod_revision)

        async with asyncio.TaskGroup() as group:
            writers = [group.create_task(writer(f"/{n}")) for n in range(8)]
            while not all(task.done() for task in writers):
                await store.compact(await store.current_revision())
        assert [record.value for record in (await store.list("")).records] == [b"59"] * 8

    # The end

    @scenario
    async def test_close_fails_what_is_pending(self, store: Store) -> None:
        reader = asyncio.create_task(first_changes(store, "", 1, 100))
        writers = [asyncio.create_task(store.create(f"/{n}", b"")) for n in range(20)]
        await asyncio.sleep(0)
        await store.close()
        outcomes = await asyncio.gather(reader, *writers, return_exceptions=True)
        assert all(isinstance(outcome, (StoreError, Record)) for outcome in outcomes), outcomes
        assert isinstance(outcomes[0], StoreError)
        for call in (store.get("/a"), store.list(""), store.create("/a", b""), store.current_revision()):
            await error_of(call)
        await store.close()
