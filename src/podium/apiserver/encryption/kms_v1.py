"""KMS v1, deprecated and behind the gate KMSv1: each value has a key of its own, encrypted by a plugin.

    length of the encrypted key (2 bytes) | the encrypted key | AES-GCM, or AES-CBC before 1.25

Upstream: apiserver/pkg/storage/value/encrypt/envelope.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, deque
from collections.abc import Iterable
from time import perf_counter

from podium.apiserver.encryption.ciphers import Cbc, Gcm
from podium.apiserver.encryption.kms_service import ASKED_AT_ONCE, Plugin
from podium.apiserver.encryption.metrics import EncryptionMetrics
from podium.apiserver.encryption.transformers import Context, TransformError
from podium.base.clock import Clock
from podium.base.log import Log
from podium.machinery.codec.protobuf_wire import delimited

KEY_BYTES = 32
KEYS_MAX = 100_000
"""That are remembered. A list needs those of all its objects at once, whatever `cachesize` says."""
POLL_S, POLL_FAILING_S = 20.0, 3.0

_VERSION = b"v1beta1"
_SERVICE = "/v1beta1.KeyManagementService/"
_LENGTH_BYTES = 2
_MALFORMED = "invalid data encountered by envelope transformer: failed to read uint16 length prefixed data"

_log = Log("podium.apiserver.encryption")


class KmsV1Service:
    """Calls of a plugin. Each raises `TransformError`."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._version_checked = False

    async def encrypt(self, plain: bytes) -> bytes:
        return await self._call("Encrypt", plain)

    async def decrypt(self, encrypted: bytes) -> bytes:
        return await self._call("Decrypt", encrypted)

    async def close(self) -> None:
        await self._plugin.close()

    async def _call(self, method: str, data: bytes) -> bytes:
        if not self._version_checked:
            answer = await self._plugin.call(_SERVICE + "Version", delimited(1, _VERSION))
            if answer.get(1) != _VERSION:
                found = answer.get(1, b"").decode("utf-8", "replace")
                raise TransformError(f"KMS provider api version {found} is not supported, only v1beta1 is")
            self._version_checked = True
        answer = await self._plugin.call(_SERVICE + method, delimited(1, _VERSION) + delimited(2, data))
        return answer.get(1, b"")


class EnvelopeV1:
    """The transformer of one plugin, and the watch over it."""

    def __init__(self, name: str, service: KmsV1Service, metrics: EncryptionMetrics, clock: Clock) -> None:
        self.name = name
        self.prefix = f"k8s:enc:kms:v1:{name}:".encode()
        self._service = service
        self._metrics = metrics
        self._clock = clock
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._refused: dict[bytes, TransformError] = {}
        self._ready: deque[tuple[bytes, bytes]] = deque()
        """Keys for the writes that are about to happen: encrypted, plain."""
        self.unhealthy = "the plugin has not been asked yet"
        """What is wrong with the plugin, "" when nothing is."""

    # --- values

    async def before_write(self) -> None:
        """Have the key of one more value encrypted. Raises `TransformError`."""
        started = perf_counter()
        key = os.urandom(KEY_BYTES)
        self._metrics.generated(perf_counter() - started)
        encrypted = await self._service.encrypt(key)
        if not 0 < len(encrypted) < 1 << (8 * _LENGTH_BYTES):
            raise TransformError(f"the plugin has made {len(encrypted)} bytes of a key")
        self._learn(encrypted, key)
        self._ready.append((encrypted, key))

    def encrypt(self, value: bytes, context: Context) -> bytes:
        """As `Transformer.encrypt`, once for each `before_write`."""
        encrypted, key = self._ready.popleft()
        length = len(encrypted).to_bytes(_LENGTH_BYTES, "big")
        return length + encrypted + Gcm(key).encrypt(value, context)

    def decrypt(self, value: bytes, context: Context) -> tuple[bytes, bool]:
        """As `Transformer.decrypt`, for values that `prepare` has seen."""
        encrypted, data = _split(value)
        key = self._known.get(encrypted)
        if key is None:
            raise self._refused.get(encrypted) or TransformError("failed to decrypt DEK")
        try:
            return Gcm(key).decrypt(data, context)
        except TransformError as error:
            try:
                return Cbc(key).decrypt(data, context)[0], True
            except TransformError as other:
                raise TransformError(f"[{error}, {other}]") from None

    async def prepare(self, values: Iterable[bytes]) -> None:
        """Have the plugin decrypt the keys of these values, as far as they are not known."""
        wanted: dict[bytes, None] = {}
        for value in values:
            try:
                encrypted, _ = _split(value)
            except TransformError:
                continue
            if encrypted not in self._known:
                wanted[encrypted] = None
        keys = iter(wanted)

        async def ask() -> None:
            for encrypted in keys:
                self._metrics.cache_misses.labels().inc()
                try:
                    key = await self._service.decrypt(encrypted)
                    _see_usable(key)
                except TransformError as error:
                    self._refused[encrypted] = error
                else:
                    self._refused.pop(encrypted, None)
                    self._learn(encrypted, key)

        await asyncio.gather(*(ask() for _ in range(min(ASKED_AT_ONCE, len(wanted)))))

    def _learn(self, encrypted: bytes, key: bytes) -> None:
        self._known[encrypted] = key
        while len(self._known) > KEYS_MAX:
            self._known.popitem(last=False)

    # --- the plugin

    async def watch(self) -> None:
        """For ever, see whether the plugin works."""
        while True:
            await self._clock.sleep(POLL_FAILING_S if self.unhealthy else POLL_S)
            await self.check()

    async def check(self) -> None:
        """See whether the plugin encrypts, and decrypts what it has encrypted."""
        step, before = "encrypt", self.unhealthy
        try:
            encrypted = await self._service.encrypt(b"ping")
            step = "decrypt"
            await self._service.decrypt(encrypted)
        except TransformError as error:
            self.unhealthy = (
                f"failed to perform {step} section of the healthz check for KMS Provider {self.name}, "
                f"error: {error}"
            )
        else:
            self.unhealthy = ""
        if self.unhealthy and self.unhealthy != before:
            _log.warning("a KMS plugin is not well", provider=self.name, error=self.unhealthy)

    async def close(self) -> None:
        await self._service.close()


def _split(value: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(value[:_LENGTH_BYTES], "big")
    end = _LENGTH_BYTES + length
    if len(value) < _LENGTH_BYTES or len(value) < end:
        raise TransformError(_MALFORMED)
    return value[_LENGTH_BYTES:end], value[end:]


def _see_usable(key: bytes) -> None:
    if len(key) not in (16, 24, 32):
        raise TransformError(f"crypto/aes: invalid key size {len(key)}")
