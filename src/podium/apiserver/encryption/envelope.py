"""KMS v2: values are encrypted with keys derived from a seed that only a plugin can decrypt.

The plugin is asked for its status once in a while. It names the key it encrypts with; when that changes, a
new seed is made and given to it, and what was encrypted under the old key is stale. While the plugin fails,
writing goes on with the last seed for a few minutes, reading for ever.
Upstream: apiserver/pkg/storage/value/encrypt/envelope/kmsv2, apiserver/pkg/server/options/encryptionconfig.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Protocol

from podium.apiserver.encryption.ciphers import SEED_BYTES, Gcm, SeededGcm
from podium.apiserver.encryption.encrypted_object import (
    HKDF_SHA256_XNONCE_AES_GCM_SEED,
    Source,
    decode,
    encode,
    wrong_key_id,
)
from podium.apiserver.encryption.kms_service import ASKED_AT_ONCE, Encrypted, Status
from podium.apiserver.encryption.metrics import EncryptionMetrics
from podium.apiserver.encryption.transformers import Context, TransformError
from podium.apiserver.server_id import hashed
from podium.base.clock import Clock, rfc3339
from podium.base.ids import new_uid
from podium.base.log import Log

POLL_S = 20.0
"""How often the plugin is asked; as often as upstream asks when somebody looks at its health."""
POLL_FAILING_S = 3.0
WRITES_WITHOUT_PLUGIN = timedelta(minutes=3)
SOURCES_MAX = 4096
"""Keys that are remembered. There are as many as API servers have started since the last migration."""

_VERSIONS = ("v2", "v2beta1")

_log = Log("podium.apiserver.encryption")


class Service(Protocol):
    """A plugin. Each call raises `TransformError`."""

    async def status(self) -> Status: ...

    async def encrypt(self, uid: str, plain: bytes) -> Encrypted: ...

    async def decrypt(
        self, uid: str, ciphertext: bytes, key_id: str, annotations: dict[str, bytes]
    ) -> bytes: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is written with."""

    cipher: SeededGcm
    source: Source
    encoded: bytes
    expires: datetime
    """After this nothing is written with it, unless the plugin has answered meanwhile."""


class Envelope:
    """The transformer of one plugin, and the watch over it."""

    def __init__(self, name: str, service: Service, metrics: EncryptionMetrics, clock: Clock) -> None:
        self.name = name
        self.prefix = f"k8s:enc:kms:v2:{name}:".encode()
        self._service = service
        self._metrics = metrics
        self._clock = clock
        self._state: _State | None = None
        self._version = ""
        self._known: OrderedDict[tuple[object, ...], Gcm | SeededGcm] = OrderedDict()
        self._refused: dict[tuple[object, ...], TransformError] = {}
        self.unhealthy = "the plugin has not been asked yet"
        """What is wrong with the plugin, "" when nothing is."""

    # --- values

    def encrypt(self, value: bytes, context: Context) -> bytes:
        state = self._current()
        now = self._clock.now()
        if now > state.expires:
            raise TransformError(
                f'encryptedDEKSource with keyID hash "{hashed(state.source.key_id)}" expired at '
                f"{rfc3339(state.expires)} (current time is {rfc3339(now)})"
            )
        self._metrics.used("to_storage", self.name, state.source.key_id, now)
        return encode(state.cipher.encrypt(value, context), state.encoded)

    def decrypt(self, value: bytes, context: Context) -> tuple[bytes, bool]:
        """As `Transformer.decrypt`, for values that `prepare` has seen."""
        data, source = decode(value)
        state = self._current()
        cipher = self._known.get(source.cache_key)
        if cipher is None:
            raise self._refused.get(source.cache_key) or TransformError("failed to decrypt DEK")
        self._metrics.used("from_storage", self.name, source.key_id, self._clock.now())
        plain, _ = cipher.decrypt(data, context)
        stale = source.key_id != state.source.key_id or source.kind != state.source.kind
        return plain, stale

    def _current(self) -> _State:
        if self._state is None:
            raise TransformError("got unexpected nil transformer")
        return self._state

    async def prepare(self, values: Iterable[bytes]) -> None:
        """Have the plugin decrypt the keys of these values, as far as they are not known."""
        wanted: dict[tuple[object, ...], Source] = {}
        for value in values:
            try:
                _, source = decode(value)
            except TransformError:
                continue
            if source.cache_key not in self._known:
                wanted[source.cache_key] = source
        if not wanted or self._state is None:
            return
        sources = iter(wanted.items())

        async def ask() -> None:
            for key, source in sources:
                try:
                    self._learn(key, await self._decrypted(source))
                    self._refused.pop(key, None)
                except TransformError as error:
                    self._refused[key] = TransformError(f"failed to decrypt DEK, error: {error}", error.code)

        await asyncio.gather(*(ask() for _ in range(min(ASKED_AT_ONCE, len(wanted)))))

    async def _decrypted(self, source: Source) -> Gcm | SeededGcm:
        self._metrics.cache_misses.labels().inc()
        plain = await self._service.decrypt(
            new_uid(), source.encrypted, source.key_id, dict(source.annotations)
        )
        if source.kind == HKDF_SHA256_XNONCE_AES_GCM_SEED:
            return SeededGcm(plain)
        try:
            return Gcm(plain)
        except ValueError as error:
            raise TransformError(str(error)) from None

    def _learn(self, key: tuple[object, ...], cipher: Gcm | SeededGcm) -> None:
        self._known[key] = cipher
        while len(self._known) > SOURCES_MAX:
            self._known.popitem(last=False)
        self._metrics.sources.labels(self.name).set(len(self._known))

    # --- the plugin

    async def watch(self) -> None:
        """For ever, ask the plugin how it is."""
        while True:
            await self._clock.sleep(POLL_FAILING_S if self.unhealthy else POLL_S)
            await self.check()

    async def check(self) -> None:
        """Ask the plugin how it is, and follow when it encrypts with another key."""
        before = self.unhealthy
        try:
            self.unhealthy = await self._problems()
        except TransformError as error:
            self.unhealthy = (
                "failed to perform status section of the healthz check for KMS Provider "
                f"{self.name}, error: {error}"
            )
        if self.unhealthy and self.unhealthy != before:
            _log.warning("a KMS plugin is not well", provider=self.name, error=self.unhealthy)
        elif before and not self.unhealthy:
            _log.info("a KMS plugin is well", provider=self.name)

    async def _problems(self) -> str:
        # From before the call: the time without the plugin is bounded from when it last answered.
        expires = self._clock.now() + WRITES_WITHOUT_PLUGIN
        status = await self._service.status()
        problems = []
        if status.healthz != "ok":
            problems.append(f"got unexpected healthz status: {status.healthz}")
        if status.version not in _VERSIONS:
            problems.append(f"expected KMSv2 API version v2, got {status.version}")
        else:
            self._version = self._version or status.version
            if status.version != self._version:
                problems.append(
                    "KMSv2 API version should not change after the initial status response version "
                    f"{self._version}, got {status.version}"
                )
        if why := wrong_key_id(status.key_id):
            self._metrics.invalid_key_id(self.name, "too_long" if status.key_id else "empty")
            problems.append(f'got invalid KMSv2 KeyID hash "{hashed(status.key_id)}": {why}')
        else:
            self._metrics.told(self.name, status.key_id, self._clock.now())
            problems.append(await self._follow(status.key_id, expires))
        problems = [problem for problem in problems if problem]
        return f"kmsv2 Provider {self.name} is not healthy, error: {', '.join(problems)}" if problems else ""

    async def _follow(self, key_id: str, expires: datetime) -> str:
        """Use a seed that the plugin has encrypted with this key; return what prevents it."""
        state = self._state
        if state is not None and state.source.key_id == key_id:
            self._state = _State(
                cipher=state.cipher, source=state.source, encoded=state.encoded, expires=expires
            )
            return ""
        started = perf_counter()
        seed = os.urandom(SEED_BYTES)
        self._metrics.generated(perf_counter() - started)
        uid = new_uid()
        found, why = "", "<nil>"
        try:
            answer = await self._service.encrypt(uid, seed)
            found = answer.key_id
            source = Source(key_id=answer.key_id, encrypted=answer.ciphertext, annotations=answer.annotations)
            source.check()
        except TransformError as error:
            why = f"failed to encrypt DEK, error: {error}"
        else:
            if found == key_id:
                cipher = SeededGcm(seed)
                self._state = _State(cipher=cipher, source=source, encoded=source.encode(), expires=expires)
                self._learn(source.cache_key, cipher)
                _log.info("a new data encryption key is used", provider=self.name, key=hashed(key_id))
                return ""
        kept = state.source.key_id if state is not None else ""
        return (
            f'failed to rotate DEK uid="{uid}", errGen={why}, statusKeyIDHash="{hashed(key_id)}", '
            f'encryptKeyIDHash="{hashed(found)}", stateKeyIDHash="{hashed(kept)}"'
        )

    async def close(self) -> None:
        await self._service.close()
