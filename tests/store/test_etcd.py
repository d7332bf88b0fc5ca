"""The engine on etcd, against a real one: the contract, and what is its own (pages, lost servers, URLs)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from podium.store.etcd import PAGE_MAX, EtcdStore
from podium.store.protocol import Store, StoreError
from tests.store.contract import StoreContract, first_changes
from tests.store.etcd import etcd, free_port, needs_etcd


@needs_etcd
class TestEtcdStore(StoreContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Store]:
        with etcd(folder) as url:
            store = await EtcdStore.open([url])
            try:
                yield store
            finally:
                await store.close()


@needs_etcd
def test_a_long_list_is_of_one_revision(tmp_path: Path) -> None:
    async def main() -> None:
        with etcd(tmp_path) as url:
            store = await EtcdStore.open([url])
            count = 2 * PAGE_MAX + 1
            await asyncio.gather(*(store.create(f"/a/{n:05}", b"") for n in range(count)))
            page = await store.list("/a/")
            assert [record.key for record in page.records] == [f"/a/{n:05}" for n in range(count)]
            assert (page.revision, page.more, page.remaining) == (count + 1, False, 0)
            part = await store.list("/a/", limit=PAGE_MAX + 5)
            assert (len(part.records), part.more, part.remaining) == (PAGE_MAX + 5, True, PAGE_MAX - 4)
            await store.close()

    asyncio.run(main())


@needs_etcd
def test_a_feed_outlives_the_death_of_its_server(tmp_path: Path) -> None:
    async def main() -> None:
        port = free_port()
        with etcd(tmp_path, port=port) as url:
            store = await EtcdStore.open([url])
            first = await store.create("/a", b"1")
            reader = asyncio.create_task(first_changes(store, "", 1, 2))
            await store.get("/a")
        with pytest.raises(StoreError):
            await store.create("/b", b"")
        with etcd(tmp_path, port=port):
            record = first
            while record == first:
                try:
                    record = await store.update("/a", b"2", expected_revision=first.mod_revision)
                except StoreError:
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(20):
                assert [change.record for change in await reader] == [first, record]
            await store.close()

    asyncio.run(main())


@needs_etcd
def test_two_servers_share_one_store(tmp_path: Path) -> None:
    async def main() -> None:
        with etcd(tmp_path) as url:
            one, other = await EtcdStore.open([url]), await EtcdStore.open([url])
            record = await one.create("/a", b"1")
            assert await other.get("/a") == record
            changed = await other.update("/a", b"2", expected_revision=record.mod_revision)
            with pytest.raises(StoreError):
                await one.update("/a", b"3", expected_revision=record.mod_revision)
            assert [change.record for change in await first_changes(one, "", 1, 2)] == [record, changed]
            await one.close()
            await other.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "endpoints", [["127.0.0.1:2379"], ["ftp://a"], ["http://"], ["http://a/b"], ["http://a:1", "https://b:1"]]
)
def test_urls_that_are_none(endpoints: list[str]) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="etcd"):
            await EtcdStore.open(endpoints)

    asyncio.run(main())


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.store.etcd.CONNECT_TIMEOUT_S", 0.2)

    async def main() -> None:
        url = f"http://127.0.0.1:{free_port()}"
        with pytest.raises(StoreError, match=f"no etcd answers at {url}"):
            await EtcdStore.open([url])

    asyncio.run(main())
