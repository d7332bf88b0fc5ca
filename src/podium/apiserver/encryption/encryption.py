"""Encryption at rest of one API server: its configuration, the plugins it asks, and how it follows both.

Encryption.read -> attach (the store) -> start (the plugins are asked) -> run (for ever)
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from podium.apiserver.encryption.configuration import InvalidConfiguration, Rule, kms_of, parse
from podium.apiserver.encryption.encrypted_store import EncryptedStore, ResourceOf
from podium.apiserver.encryption.metrics import EncryptionMetrics
from podium.apiserver.encryption.providers import Providers, build, see_available
from podium.apiserver.encryption.transformers import TransformError
from podium.apiserver.server_id import server_id
from podium.base.clock import Clock
from podium.base.file_changes import follow, stamp
from podium.base.log import Log
from podium.base.metrics import Registry
from podium.store.protocol import Store, StoreError

CHECK = "kms-providers"
"""The health check of all plugins together, as upstream's. With KMS v1, in a file that is not followed, each
plugin has one of its own."""
GRACE_S = 10.0
READ_AGAIN_S, READ_AGAIN_S_MAX = 3.0, 60.0
"""How soon what could not be decrypted is tried again, while it may be that it can."""

_log = Log("podium.apiserver.encryption")


class Encryption:
    """What `--encryption-provider-config` asks for."""

    def __init__(self, path: Path, *, reload: bool, kms_v1: bool = False, clock: Clock) -> None:
        """Read the file, which with `reload` is followed. Raises OSError, `InvalidConfiguration`."""
        self._path = path
        self._reload = reload
        self._kms_v1 = kms_v1
        self._clock = clock
        self._seen = stamp([str(path)])
        self._rules, self._hash = self._read()
        self._providers: Providers
        self._store: EncryptedStore
        self._metrics: EncryptionMetrics
        self._watching: list[asyncio.Task[None]] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._read_again: Callable[[], Awaitable[bool]] | None = None

    def _read(self) -> tuple[Sequence[Rule], str]:
        content = self._path.read_bytes()
        rules = parse(content, str(self._path), kms_v1=self._kms_v1)
        try:
            see_available(rules)
        except TransformError as error:
            raise InvalidConfiguration(str(error)) from None
        return rules, f"sha256:{hashlib.sha256(content).hexdigest()}"

    # --- life

    def attach(
        self, store: Store, registry: Registry, root_of: Callable[[str], str], resource_of: ResourceOf
    ) -> EncryptedStore:
        """Return the store that encrypts what goes into `store`."""
        self._metrics = EncryptionMetrics(registry, server_id())
        self._metrics.configured(self._hash)
        self._providers = build(self._rules, self._metrics, self._clock)
        self._store = EncryptedStore(store, self._providers, root_of, resource_of)
        return self._store

    async def start(self) -> None:
        """Ask the plugins for the first time. One that does not answer keeps nothing from starting."""
        await asyncio.gather(*(envelope.check() for envelope in self._providers.envelopes))

    async def run(self, read_again: Callable[[], Awaitable[bool]]) -> None:
        """For ever, follow plugins and file. `read_again` reads what could not be decrypted, and tells
        whether some of it still cannot."""
        self._read_again = read_again
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._watch(self._providers)
                if self._reload:
                    paths = [str(self._path)]
                    tasks.create_task(follow(paths, self._changed, clock=self._clock, seen=self._seen))
                tasks.create_task(self._keep_reading())
        finally:
            await asyncio.gather(*(envelope.close() for envelope in self._providers.envelopes))

    def _watch(self, providers: Providers) -> None:
        assert self._tasks is not None
        self._watching = [self._tasks.create_task(envelope.watch()) for envelope in providers.envelopes]

    async def _keep_reading(self) -> None:
        delay_s = READ_AGAIN_S
        while True:
            await self._clock.sleep(delay_s)
            if self._providers.envelopes:
                some_left = await self._once_more()
                delay_s = min(delay_s * 2, READ_AGAIN_S_MAX) if some_left else READ_AGAIN_S

    async def _once_more(self) -> bool:
        """Read what could not be decrypted; return whether some of it still cannot."""
        try:
            return self._read_again is not None and await self._read_again()
        except StoreError as error:
            _log.warning("the store does not answer", error=error)
            return True

    # --- health

    @property
    def checks(self) -> Mapping[str, Callable[[], str]]:
        """The health checks, each of which returns what is wrong."""
        envelopes = self._providers.envelopes
        if not self._reload and any(provider.version == "v1" for provider in kms_of(self._rules)):
            return {f"kms-provider-{index}": self._one(index) for index in range(len(envelopes))}
        return {CHECK: self._unhealthy} if self._reload or envelopes else {}

    def _one(self, index: int) -> Callable[[], str]:
        return lambda: self._providers.envelopes[index].unhealthy

    def _unhealthy(self) -> str:
        return ", ".join(one.unhealthy for one in self._providers.envelopes if one.unhealthy)

    # --- another configuration

    async def _changed(self) -> bool:
        try:
            rules, content_hash = self._read()
            if content_hash == self._hash:
                return True
            providers = build(rules, self._metrics, self._clock)
        except (OSError, InvalidConfiguration) as error:
            self._refuse(error)
            return True  # It is looked at again when somebody changes it.
        await asyncio.gather(*(envelope.check() for envelope in providers.envelopes))
        if unhealthy := [envelope.unhealthy for envelope in providers.envelopes if envelope.unhealthy]:
            self._refuse(f"health check for new transformers failed: {', '.join(unhealthy)}")
            await asyncio.gather(*(envelope.close() for envelope in providers.envelopes))
            return False
        await self._replace(providers)
        self._hash = content_hash
        self._metrics.configured(content_hash)
        self._metrics.reloaded(well=True, now=self._clock.now())
        _log.info("the encryption configuration has changed", path=self._path)
        return True

    def _refuse(self, error: object) -> None:
        self._metrics.reloaded(well=False, now=self._clock.now())
        _log.error("error processing encryption config file", path=self._path, error=error)

    async def _replace(self, providers: Providers) -> None:
        old, self._providers = self._providers, providers
        self._store.use(providers)
        for task in self._watching:
            task.cancel()
        self._watch(providers)
        await self._once_more()
        if old.envelopes and self._tasks is not None:
            self._tasks.create_task(self._close(old))

    async def _close(self, old: Providers) -> None:
        """Let the calls that are under way come to their end first."""
        await self._clock.sleep(GRACE_S)
        await asyncio.gather(*(envelope.close() for envelope in old.envelopes))
