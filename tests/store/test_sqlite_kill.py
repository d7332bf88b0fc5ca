"""kill -9 in the middle of a write storm loses nothing that was acknowledged, and no revision comes twice."""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from podium.store.protocol import Record
from podium.store.sqlite import SqliteStore

ROUNDS = 6
WRITERS = 8
SEED = 20


class SlowDisk:
    """A connection whose commits take long, so that most kills come between a write and its commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def commit(self) -> None:
        time.sleep(0.003)
        self._connection.commit()

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)


async def storm(path: Path, round_: int, acks: int) -> None:
    """Create, update and delete in `path` for ever; report each acknowledged change as a line on `acks`."""
    store = await SqliteStore.open(path)
    if round_ % 2:
        store._writer = SlowDisk(store._writer)  # type: ignore[assignment]

    def acknowledge(revision: int, key: str, value: bytes | None) -> None:
        os.write(acks, f"{revision} {key} {'-' if value is None else value.decode()}\n".encode())

    async def writer(name: int) -> None:
        number = 0
        while True:
            key = f"/{round_}/{name}/{number}"
            record = await store.create(key, b"new")
            acknowledge(record.mod_revision, key, record.value)
            for step in range(3):
                value = b"%d" % step + b"x" * 500
                record = await store.update(key, value, expected_revision=record.mod_revision)
                acknowledge(record.mod_revision, key, record.value)
            if number % 2:
                change = await store.delete(key, expected_revision=record.mod_revision)
                acknowledge(change.revision, key, None)
            number += 1

    async def compactor() -> None:
        while True:
            await store.compact(await store.current_revision())
            await store.create(f"/{round_}/compactions/{await store.current_revision()}", b"")

    async with asyncio.TaskGroup() as group:
        group.create_task(compactor())
        for name in range(WRITERS):
            group.create_task(writer(name))


def acknowledged_until_killed(path: Path, round_: int, life_s: float) -> Iterator[tuple[int, str, str]]:
    """Run a storm in a child, kill it when it has lived for `life_s` since its first acknowledgement, and
    yield what it had acknowledged."""
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", __name__, str(path), str(round_), str(writing)],
        pass_fds=[writing],
        cwd=Path(__file__).parents[2],
    )
    os.close(writing)
    try:
        received = b""
        deadline = time.monotonic() + 30
        while (left := deadline - time.monotonic()) > 0:
            if select.select([reading], [], [], left)[0]:
                first = not received
                received += os.read(reading, 1 << 16)
                if first:
                    deadline = time.monotonic() + life_s
        assert child.poll() is None, "the storm must still rage"
        child.send_signal(signal.SIGKILL)
        while more := os.read(reading, 1 << 16):
            received += more
    finally:
        child.kill()
        child.wait()
        os.close(reading)
    *lines, torn = received.decode().split("\n")
    assert torn == "", "a line is one write, and arrives whole"
    for line in lines:
        revision, key, value = line.split(" ")
        yield int(revision), key, value


def test_kill_in_a_write_storm(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    chance = random.Random(SEED)
    newest: dict[str, tuple[int, str]] = {}
    revisions: set[int] = set()
    highest = 1

    async def check() -> dict[str, Record]:
        store = await SqliteStore.open(path)
        try:
            assert await store.current_revision() >= highest, "revisions never go back"
            return {record.key: record for record in (await store.list("")).records}
        finally:
            await store.close()

    for round_ in range(ROUNDS):
        before = highest
        count = 0
        for revision, key, value in acknowledged_until_killed(path, round_, chance.uniform(0.01, 0.4)):
            assert revision > before, "revisions never go back"
            assert revision not in revisions, "no revision comes twice"
            revisions.add(revision)
            newest[key] = max(newest.get(key, (0, "")), (revision, value))
            highest = max(highest, revision)
            count += 1
        assert count
        stored = asyncio.run(check())
        for key, (revision, value) in newest.items():
            record = stored.get(key)
            # A write may have been made and not yet acknowledged: then the key is ahead of what we know.
            if record is None:
                deleted_since = value != "-" and int(key.rsplit("/", 1)[1]) % 2 and value.startswith("2")
                assert value == "-" or deleted_since, f"{key} at {revision} is lost"
            elif record.mod_revision == revision:
                assert record.value.decode() == value
            else:
                assert record.mod_revision > revision, f"{key} has gone back from {revision}"


if __name__ == "__main__":
    asyncio.run(storm(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
