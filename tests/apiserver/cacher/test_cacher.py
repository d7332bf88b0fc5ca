"""The cache follows its store, whatever is added when."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from podium.apiserver.cacher.cacher import Cacher, TooHighRevision
from podium.apiserver.cacher.entry import encode
from podium.store.sqlite import SqliteStore


def stored(name: str) -> bytes:
    return encode({"metadata": {"name": name}}, "Thing", "v1")


def test_a_root_added_later_has_what_was_there_before(tmp_path: Path) -> None:
    """Custom resources: their objects may be older than the server's knowledge of them."""

    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        await store.create("/registry/example.com/things/n/before", stored("before"))
        cacher = Cacher(store)
        cacher.root("/registry/pods/")
        await cacher.fill()
        following = asyncio.create_task(cacher.run())
        record = await store.create("/registry/example.com/things/n/during", stored("during"))
        await cacher.wait_for(record.mod_revision)
        root = cacher.root("/registry/example.com/things/")
        assert root.keys == ["n/before", "n/during"]
        record = await store.create("/registry/example.com/things/n/after", stored("after"))
        await cacher.wait_for(record.mod_revision)
        assert root.keys == ["n/after", "n/before", "n/during"]
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await store.close()

    asyncio.run(main())


def test_a_revision_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        cacher = Cacher(store)
        await cacher.fill()
        with pytest.raises(TooHighRevision):
            await cacher.wait_fresh(cacher.revision + 1, timeout_s=0.01)
        await store.close()

    asyncio.run(main())


def test_two_part_roots_are_told_from_one_part_ones(tmp_path: Path) -> None:
    async def main() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        await store.create("/registry/services/specs/n/a", stored("a"))
        await store.create("/registry/services/endpoints/n/a", stored("a"))
        await store.create("/registry/pods/n/a", stored("a"))
        cacher = Cacher(store)
        roots = [
            cacher.root(f"/registry/{name}/") for name in ("services/specs", "services/endpoints", "pods")
        ]
        await cacher.fill()
        assert [root.keys for root in roots] == [["n/a"], ["n/a"], ["n/a"]]
        await store.close()

    asyncio.run(main())
