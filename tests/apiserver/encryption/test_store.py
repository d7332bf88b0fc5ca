"""An encrypted store is a store: the contract, and that nothing plain reaches the one below."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from podium.apiserver.encryption.configuration import parse
from podium.apiserver.encryption.encrypted_store import EncryptedStore
from podium.apiserver.encryption.metrics import EncryptionMetrics
from podium.apiserver.encryption.providers import Providers, build
from podium.base.clock import WallClock
from podium.base.metrics import Registry
from podium.machinery.errors import InternalError
from podium.store.protocol import RevisionMismatch, Store, Unreadable
from podium.store.sqlite import SqliteStore
from tests.apiserver.encryption.builders import IDENTITY, configuration, provider, rule
from tests.store.contract import StoreContract, first_changes


def providers(*rules: dict[str, object]) -> Providers:
    return build(parse(configuration(*rules), "f"), EncryptionMetrics(Registry()), WallClock())


def resource_of(key: str) -> tuple[str, str]:
    return "", key.split("/")[2] if key.count("/") > 1 else ""


def encrypted(store: Store, *rules: dict[str, object]) -> EncryptedStore:
    return EncryptedStore(store, providers(*rules), lambda key: key[: key.find("/", 10)], resource_of)


class TestEncryptedStore(StoreContract):
    # Storms are about engines and their feeds; this passes on what they bring.
    test_a_reader_that_joins_in_a_write_storm_misses_nothing = None  # type: ignore[assignment]
    test_a_reader_that_does_not_read_delays_nobody_and_loses_nothing = None  # type: ignore[assignment]
    test_compaction_in_a_write_storm = None  # type: ignore[assignment]

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Store]:
        store = await SqliteStore.open(folder / "store.db")
        try:
            yield encrypted(store, rule(["*.*"], provider("aesgcm", "key1")))
        finally:
            await store.close()


@pytest.mark.parametrize("kind", ["aesgcm", "aescbc", "secretbox"])
def test_what_is_below(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        below = await SqliteStore.open(tmp_path / "store.db")
        rules = [rule(["secrets"], provider(kind, "key1"))]
        store = encrypted(below, *rules)
        secret, pod = "/registry/secrets/a/b", "/registry/pods/a/b"
        written = await store.create(secret, b'{"password":1}')
        assert written.value == b'{"password":1}'
        await store.create(pod, b'{"plain":1}')
        stored, plain = await below.get(secret), await below.get(pod)
        assert stored is not None
        assert plain is not None
        assert stored.value.startswith(f"k8s:enc:{kind}:v1:key1:".encode())
        assert plain.value == b'{"plain":1}'
        assert await store.get(secret) == written
        assert not await store.is_stale(secret, written.mod_revision)
        with pytest.raises(RevisionMismatch) as race:
            await store.update(secret, b"{}", expected_revision=99)
        assert race.value.current == written
        store.use(providers(rule(["secrets"], provider("aesgcm", "new"), provider(kind, "key1"))))
        assert await store.is_stale(secret, written.mod_revision)
        assert not await store.is_stale(secret, written.mod_revision + 1)
        assert not await store.is_stale(pod, plain.mod_revision)
        await store.close()

    asyncio.run(main())


def test_what_cannot_be_decrypted(tmp_path: Path) -> None:
    async def main() -> None:
        below = await SqliteStore.open(tmp_path / "store.db")
        key = "/registry/secrets/a/b"
        await encrypted(below, rule(["secrets"], provider("aesgcm", "lost"))).create(key, b"{}")
        store = encrypted(below, rule(["secrets"], provider("aesgcm", "kept"), IDENTITY))
        found = await store.get(key)
        assert isinstance(found, Unreadable)
        assert found.error == "no matching key was found for the provided AES transformer"
        assert found.value == b""
        page = await store.list("/registry/")
        assert page.records == [found]
        with pytest.raises(InternalError):
            await store.update(key, b"{}", expected_revision=99)
        (change,) = await first_changes(store, "/registry/", 1, 1)
        assert change.record == found
        gone = await store.delete(key, expected_revision=0)
        assert gone.previous == found
        await store.close()

    asyncio.run(main())
