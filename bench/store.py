"""Writes a second of the store, as ratios to plain sqlite3 with one commit for each write, in the same run.

    python bench/store.py [--seconds 2] [--folder DIR]

The ratio with 1 writer shows what the store's machinery costs, those with 16 and 64 what group commit gains.
A last line shows that a write costs the same among many objects.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path

from podium.store.sqlite import SqliteStore

VALUE = b"x" * 1500
"""About the size of a stored pod."""
OBJECTS_MANY = 50_000


def plain(path: Path, seconds: float) -> float:
    """Return the writes a second of a loop over one sqlite3 connection with the store's durability."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE objects (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
    count = 0
    start = time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        connection.execute("INSERT INTO objects VALUES (?, ?)", (f"/registry/pods/{count}", VALUE))
        count += 1
    connection.close()
    return count / passed


async def concurrent(store: SqliteStore, writers: int, seconds: float) -> float:
    """Return the writes a second of `writers` callers that each wait for their answers."""
    start = time.perf_counter()

    async def writer(name: int) -> int:
        count = 0
        while time.perf_counter() - start < seconds:
            await store.create(f"/registry/pods/{start}-{writers}-{name}/{count}", VALUE)
            count += 1
        return count

    total = sum(await asyncio.gather(*(writer(name) for name in range(writers))))
    return total / (time.perf_counter() - start)


async def measure(folder: Path, seconds: float) -> None:
    base = await asyncio.to_thread(plain, folder / "plain.db", seconds)
    print(f"plain sqlite3, one commit a write: {base:8.0f} writes/s  1.00")
    store = await SqliteStore.open(folder / "store.db")
    for writers in (1, 16, 64):
        rate = await concurrent(store, writers, seconds)
        print(f"store, {writers:2} concurrent writers:      {rate:8.0f} writes/s  {rate / base:.2f}")
    for start in range(0, OBJECTS_MANY, 250):
        await asyncio.gather(*(store.create(f"/registry/many/{n}", VALUE) for n in range(start, start + 250)))
    rate = await concurrent(store, 64, seconds)
    print(f"the same among {OBJECTS_MANY} more objects: {rate:8.0f} writes/s  {rate / base:.2f}")
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of each measurement")
    parser.add_argument("--folder", type=Path, help="where to put the files (default: a temporary folder)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        asyncio.run(measure(Path(folder), arguments.seconds))


if __name__ == "__main__":
    main()
