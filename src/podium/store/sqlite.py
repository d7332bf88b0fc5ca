"""The store on SQLite: the engine of an embedded or one-machine cluster.

Writes that wait share one transaction. Their statements run in the event loop, where they cost some twenty
microseconds each; only COMMIT, with its fsync, goes to the writer thread: a statement there would have to win
the interpreter's lock back from a busy event loop, and may then be slower than the commit it belongs to.
While a commit is under way the next batch gathers. An answer is given after its commit and never before.

    caller ──▶ write queue (bounded; callers wait) ──▶ transaction ──▶ COMMIT in the writer thread
                                                                           │
    caller ◀── answers ◀── change feed (a bounded queue for each reader) ◀─┘

Lists and old changes are read in a few reader threads with connections of their own; WAL lets them see one
moment's state without holding up the writer. Single records are read in the event loop: faster than a hop.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from podium.store import sqlite_tables as tables
from podium.store.feed import QUEUE_BYTES_MAX, QUEUE_CHANGES_MAX, Feed
from podium.store.lock import FileLock
from podium.store.protocol import Change, Page, Record, StoreError
from podium.store.sqlite_tables import Create, Delete, Update, Write

WRITE_QUEUE_MAX = 1024
"""Writes that may wait for a transaction; further callers wait before the queue."""
TRANSACTION_WRITES_MAX = 256
"""Bounds the time the event loop spends on one transaction's statements."""
READERS = 2
CHANGES_READ_MAX = 500
SWEEP_REVISIONS_MAX = 1000
VALUE_BYTES_MAX = 64 * 1024 * 1024
CACHE_KIB_WRITER = 4096
CACHE_KIB_READER = 1024

P = ParamSpec("P")
T = TypeVar("T")
_Outcome = Change | StoreError
_Outcomes = list[_Outcome]
_Waiting = tuple[Write, "asyncio.Future[Change]"]


class SqliteStore:
    """`Store` in one SQLite file. Belongs to the event loop it was opened in, and to one process."""

    def __init__(self, path: Path, lock: FileLock, writer: sqlite3.Connection, feed: Feed) -> None:
        """For `open` only."""
        self._path = path
        self._lock = lock
        self._writer = writer
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        self._revision = tables.latest(writer)
        self._getter = tables.connect(path, cache_kib=CACHE_KIB_READER, read_only=True)
        self._readers = [
            tables.connect(path, cache_kib=CACHE_KIB_READER, read_only=True) for _ in range(READERS)
        ]
        self._reader_threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._writer_free = asyncio.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._room = asyncio.Event()
        """Set when what waits has been taken up."""
        self._arrival = asyncio.Event()
        self._closed = ""
        """Why nothing is answered any more."""
        self._committing = self._loop.create_task(self._commit_for_ever(), name="store-commits")

    @classmethod
    async def open(
        cls,
        path: str | Path,
        *,
        feed_changes_max: int = QUEUE_CHANGES_MAX,
        feed_bytes_max: int = QUEUE_BYTES_MAX,
    ) -> SqliteStore:
        """Open the store in the file `path`, creating it where it is missing (its folder must exist).

        Raises `StoreError` when another process has it open, or when the file is no store.
        """
        path = Path(path)
        lock, writer = await asyncio.to_thread(_open_files, path)
        try:
            return cls(path, lock, writer, Feed(changes_max=feed_changes_max, bytes_max=feed_bytes_max))
        except BaseException:
            writer.close()
            lock.release()
            raise

    async def current_revision(self) -> int:
        self._check_open()
        return self._revision

    async def get(self, key: str) -> Record | None:
        self._check_open()
        return tables.get(self._getter, _checked(key))

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> Page:
        return await self._read(tables.page, _checked(prefix), _checked(start_after), limit, revision)

    async def create(self, key: str, value: bytes) -> Record:
        return _written(await self._write(Create(_checked(key), _checked_value(value))))

    async def update(self, key: str, value: bytes, *, expected_revision: int) -> Record:
        return _written(await self._write(Update(_checked(key), _checked_value(value), expected_revision)))

    async def delete(self, key: str, *, expected_revision: int) -> Change:
        return await self._write(Delete(_checked(key), expected_revision))

    async def changes(self, prefix: str, *, after_revision: int) -> AsyncIterator[Sequence[Change]]:
        _checked(prefix)
        position = after_revision
        while True:
            self._check_open()
            # Subscribing first leaves no gap: up to here it is on disk, from here on it is queued.
            subscribed_at = self._revision
            subscription = self._feed.subscribe(prefix, after_revision=max(position, subscribed_at))
            try:
                while position < subscribed_at:
                    read = await self._read(tables.changes, prefix, position, subscribed_at, CHANGES_READ_MAX)
                    position = read.reached
                    if read.changes:
                        yield read.changes
                while batch := await subscription.take():
                    position = batch[-1].revision
                    yield batch
            finally:
                self._feed.unsubscribe(subscription)

    async def compact(self, revision: int) -> None:
        await self._in_writer(tables.mark_compacted, revision)
        # In steps, so that writes get their turn in between.
        while await self._in_writer(tables.sweep, SWEEP_REVISIONS_MAX):
            pass

    async def close(self) -> None:
        if not self._closed:
            self._fail("the store is closed")
        self._arrival.set()
        await asyncio.wait([self._committing])
        async with self._writer_free:
            await asyncio.to_thread(self._release)

    def _release(self) -> None:
        self._reader_threads.shutdown()
        self._writer_thread.shutdown()
        for connection in (*self._readers, self._getter, self._writer):
            connection.close()
        self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(self._closed)

    def _fail(self, reason: str) -> None:
        """Refuse everything from now on, and what waits."""
        self._closed = reason
        waiting = list(self._waiting)
        self._waiting.clear()
        self._room.set()
        self._settle(waiting, [StoreError(reason) for _ in waiting])
        self._feed.fail(reason)

    async def _read(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._check_open()

        def read() -> T:
            connection = self._readers.pop()  # there are as many as threads
            try:
                return function(connection, *args, **kwargs)
            finally:
                self._readers.append(connection)

        try:
            return await self._loop.run_in_executor(self._reader_threads, read)
        except sqlite3.Error as error:
            raise StoreError(f"reading failed: {error}") from error

    async def _in_writer(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `function` on the writer's connection, between two transactions."""
        async with self._writer_free:
            self._check_open()
            running = self._loop.run_in_executor(
                self._writer_thread, lambda: function(self._writer, *args, **kwargs)
            )
            try:
                return await _to_the_end(running)
            except sqlite3.Error as error:
                raise StoreError(f"writing failed: {error}") from error

    async def _write(self, command: Write) -> Change:
        """Queue `command` and return its change once it is on disk.

        When the caller is cancelled, the write may still happen.
        """
        while len(self._waiting) >= WRITE_QUEUE_MAX:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise StoreError(self._closed)
        answer: asyncio.Future[Change] = self._loop.create_future()
        self._waiting.append((command, answer))
        self._arrival.set()
        return await answer

    async def _commit_for_ever(self) -> None:
        try:
            while not self._closed:
                if self._waiting:
                    async with self._writer_free:
                        await self._commit_once()
                else:
                    self._arrival.clear()
                    await self._arrival.wait()
        except BaseException as error:
            self._fail(f"the store's writer has died: {error!r}")
            raise

    async def _commit_once(self) -> None:
        """Write what waits in one transaction, then publish it and answer."""
        batch: list[_Waiting] = []
        while self._waiting and len(batch) < TRANSACTION_WRITES_MAX:
            batch.append(self._waiting.popleft())
        self._room.set()
        outcomes: _Outcomes = [StoreError("the store is closed") for _ in batch]
        try:
            outcomes = await self._transact(batch)
        finally:
            done = [outcome for outcome in outcomes if isinstance(outcome, Change)]
            if done:
                self._revision = done[-1].revision
                self._feed.publish(done)
            self._settle(batch, outcomes)

    def _settle(self, batch: Sequence[_Waiting], outcomes: _Outcomes) -> None:
        for (_, answer), outcome in zip(batch, outcomes, strict=True):
            if answer.done():  # cancelled
                continue
            if isinstance(outcome, Change):
                answer.set_result(outcome)
            else:
                answer.set_exception(outcome)

    async def _transact(self, batch: Sequence[_Waiting]) -> _Outcomes:
        """Return each write's outcome. What the database itself refuses fails the whole batch."""
        try:
            outcomes = self._execute(batch)
            await _to_the_end(self._loop.run_in_executor(self._writer_thread, self._writer.commit))
            return outcomes
        except sqlite3.Error as error:
            if self._writer.in_transaction:
                self._writer.rollback()
            return [StoreError(f"writing failed: {error}") for _ in batch]

    def _execute(self, batch: Sequence[_Waiting]) -> _Outcomes:
        """Carry out each write or find out why it must fail, leaving a transaction to commit."""
        self._writer.execute("BEGIN IMMEDIATE")
        outcomes: _Outcomes = []
        revision = self._revision
        for command, _ in batch:
            try:
                outcomes.append(tables.write(self._writer, command, revision + 1))
                revision += 1
            except StoreError as error:
                outcomes.append(error)
        return outcomes


async def _to_the_end(running: asyncio.Future[T]) -> T:
    """Await what a thread does, also when cancelled meanwhile: the connection is not free before that."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if not running.done():
            await asyncio.wait([running])
        raise


def _open_files(path: Path) -> tuple[FileLock, sqlite3.Connection]:
    lock: FileLock | None = None
    try:
        lock = FileLock(path.with_name(path.name + ".lock"), what=f"the store {path}")
        if not path.exists():
            # Secrets live in here; SQLite gives its side files the same mode.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        writer = tables.connect(path, cache_kib=CACHE_KIB_WRITER)
        try:
            tables.prepare(writer)
        except BaseException:
            writer.close()
            raise
        _sync_folder(path.parent)
    except (OSError, sqlite3.Error) as error:
        if lock:
            lock.release()
        raise StoreError(f"the store {path} cannot be opened: {error}") from error
    except StoreError as error:
        if lock:
            lock.release()
            raise StoreError(f"{path} is no store: {error}") from error
        raise
    return lock, writer


def _sync_folder(folder: Path) -> None:
    """Make new files' names durable, where the operating system lets a folder be synced."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _written(change: Change) -> Record:
    assert change.record is not None
    return change.record


def _checked(key: str) -> str:
    """Return `key`. Raises `StoreError` for text that cannot be stored, which would fail a whole batch."""
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"not a key: {key!r}") from error
    return key


def _checked_value(value: bytes) -> bytes:
    if len(value) > VALUE_BYTES_MAX:
        raise StoreError(f"a value of {len(value)} bytes; the most is {VALUE_BYTES_MAX}")
    return value
