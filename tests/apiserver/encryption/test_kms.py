"""KMS v2: the envelope around values, the watch over a plugin, and both over gRPC."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from podium.apiserver.encryption.ciphers import Gcm, SeededGcm
from podium.apiserver.encryption.configuration import Kms
from podium.apiserver.encryption.encrypted_object import (
    HKDF_SHA256_XNONCE_AES_GCM_SEED,
    Source,
    decode,
    encode,
)
from podium.apiserver.encryption.envelope import WRITES_WITHOUT_PLUGIN, Envelope
from podium.apiserver.encryption.kms_service import KmsService
from podium.apiserver.encryption.kms_service import Plugin as Connection
from podium.apiserver.encryption.metrics import EncryptionMetrics
from podium.apiserver.encryption.transformers import Context, TransformError
from podium.base.metrics import Registry
from tests.apiserver.encryption.builders import IDENTITY, encryption, kms, provider, rule
from tests.apiserver.encryption.kms_plugin import Plugin, message, nonsense, serving
from tests.apiserver.encryption.test_at_rest import SECRETS, WORD, Hasty, page, raw, secret, until
from tests.apiserver.fakes import FakeClock
from tests.apiserver.harness import PATIENCE_S, api

HERE = Context(b"/registry/secrets/default/a", "secrets")


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


class Watched:
    """An envelope with its plugin, in fake time."""

    def __init__(self, endpoint: str, plugin: Plugin) -> None:
        self.plugin = plugin
        self.clock = FakeClock()
        self.registry = Registry()
        self.metrics = EncryptionMetrics(self.registry)
        self._endpoint = endpoint
        self.envelope = self.another()

    def another(self) -> Envelope:
        """Return the envelope of a server that has just started."""
        told = Kms(name="vault", endpoint=self._endpoint, timeout_s=PATIENCE_S)
        return Envelope("vault", KmsService(Connection(told, self.metrics.called)), self.metrics, self.clock)


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[Watched]:
    plugin = Plugin()
    async with serving(plugin, folder) as endpoint:
        found = Watched(endpoint, plugin)
        try:
            yield found
        finally:
            await found.envelope.close()


async def read(envelope: Envelope, value: bytes) -> tuple[bytes, bool]:
    await envelope.prepare([value])
    return envelope.decrypt(value, HERE)


def test_what_is_stored_is_upstreams_message(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as one:
            await one.envelope.check()
            assert one.envelope.unhealthy == ""
            value = one.envelope.encrypt(b"{}", HERE)
            stored = message("EncryptedObject").FromString(value)
            assert stored.keyID == "key-1"
            assert dict(stored.annotations) == {"kms.example.com": b"note"}
            assert stored.encryptedDEKSourceType == HKDF_SHA256_XNONCE_AES_GCM_SEED
            # As upstream reads it: the seed from the plugin, a key derived from it.
            request = message("DecryptRequest")(
                ciphertext=stored.encryptedDEKSource,
                key_id=stored.keyID,
                uid="u",
                annotations=stored.annotations,
            )
            seed = (await one.plugin.decrypt(request, None)).plaintext
            assert SeededGcm(seed).decrypt(stored.encryptedData, HERE)[0] == b"{}"
            # And the other way round.
            written = message("EncryptedObject")(
                encryptedData=SeededGcm(seed).encrypt(b"[]", HERE),
                keyID="key-1",
                encryptedDEKSource=stored.encryptedDEKSource,
                annotations=stored.annotations,
                encryptedDEKSourceType=1,
            ).SerializeToString()
            assert await read(one.envelope, written) == (b"[]", False)

    run(main)


def test_values_of_before_there_were_seeds(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as one:
            await one.envelope.check()
            key = bytes(range(32))
            request = message("EncryptRequest")(plaintext=key, uid="u")
            answer = await one.plugin.encrypt(request, None)
            written = message("EncryptedObject")(
                encryptedData=Gcm(key).encrypt(b"{}", HERE),
                keyID=answer.key_id,
                encryptedDEKSource=answer.ciphertext,
                annotations=answer.annotations,
            ).SerializeToString()
            assert await read(one.envelope, written) == (b"{}", True)

    run(main)


def test_a_plugin_is_asked_once_for_each_key(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as one:
            await one.envelope.check()
            values = [one.envelope.encrypt(b"{}", HERE) for _ in range(10)]
            restarted = one.another()
            await restarted.check()
            one.plugin.calls.clear()
            await restarted.prepare(values)
            await restarted.prepare(values)
            assert one.plugin.calls == ["Decrypt"]
            assert [restarted.decrypt(value, HERE) for value in values] == [(b"{}", False)] * 10
            await restarted.close()

    run(main)


def test_another_key(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as one:
            await one.envelope.check()
            old = one.envelope.encrypt(b"{}", HERE)
            # Status is ahead of Encrypt: nothing is written under a key that is on its way out.
            one.plugin.key_id, one.plugin.encrypts_with = "key-2", "key-1"
            await one.envelope.check()
            assert "failed to rotate DEK" in one.envelope.unhealthy
            assert decode(one.envelope.encrypt(b"{}", HERE))[1].key_id == "key-1"
            one.plugin.encrypts_with = ""
            await one.envelope.check()
            assert one.envelope.unhealthy == ""
            new = one.envelope.encrypt(b"{}", HERE)
            assert decode(new)[1].key_id == "key-2"
            assert await read(one.envelope, old) == (b"{}", True)
            assert await read(one.envelope, new) == (b"{}", False)

    run(main)


def test_a_plugin_that_fails(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as one:
            with pytest.raises(TransformError, match="got unexpected nil transformer"):
                one.envelope.encrypt(b"{}", HERE)
            await one.envelope.check()
            value = one.envelope.encrypt(b"{}", HERE)
            one.plugin.refuses = True
            one.clock.advance(WRITES_WITHOUT_PLUGIN.total_seconds() - 1)
            await one.envelope.check()
            assert one.envelope.unhealthy == (
                "failed to perform status section of the healthz check for KMS Provider vault, error: rpc "
                "error: code = FailedPrecondition desc = the vault is sealed"
            )
            one.envelope.encrypt(b"{}", HERE)
            one.clock.advance(2)
            with pytest.raises(
                TransformError, match=r'encryptedDEKSource with keyID hash "sha256:.* expired at'
            ):
                one.envelope.encrypt(b"{}", HERE)
            # Reading goes on, and so does writing once the plugin is back.
            assert await read(one.envelope, value) == (b"{}", False)
            one.plugin.refuses = False
            await one.envelope.check()
            one.envelope.encrypt(b"{}", HERE)

    run(main)


def test_keys_that_a_plugin_does_not_give_away(tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as one:
            await one.envelope.check()
            value = one.envelope.encrypt(b"{}", HERE)
            restarted = one.another()
            await restarted.check()
            one.plugin.refuses = True
            with pytest.raises(TransformError) as refused:
                await read(restarted, value)
            assert str(refused.value) == (
                "failed to decrypt DEK, error: rpc error: code = FailedPrecondition desc = the vault is "
                "sealed"
            )
            assert refused.value.code == "FailedPrecondition"
            one.plugin.refuses = False
            assert await read(restarted, value) == (b"{}", False)
            await restarted.close()

    run(main)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"healthz": "sealed"}, "got unexpected healthz status: sealed"),
        ({"version": "v1"}, "expected KMSv2 API version v2, got v1"),
        (
            {"version": "v2beta1"},
            "should not change after the initial status response version v2, got v2beta1",
        ),
        ({"key_id": ""}, 'got invalid KMSv2 KeyID hash "": keyID is empty'),
        ({"key_id": "k" * 1025}, "keyID is 1025 bytes, which exceeds the max size of 1024"),
        ({"key_id": "key-2", "annotations": {"short": b""}}, "should be a domain with at least two segments"),
        ({"key_id": "key-2", "annotations": {"a.example": bytes(32 * 1024)}}, "total size of annotations is"),
    ],
)
def test_what_a_plugin_may_not_say(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with watched(tmp_path) as one:
            await one.envelope.check()
            for name, value in change.items():
                setattr(one.plugin, name, value)
            await one.envelope.check()
            assert words in one.envelope.unhealthy
            assert decode(one.envelope.encrypt(b"{}", HERE))[1].key_id == "key-1"

    run(main)


@pytest.mark.parametrize(
    ("status", "encrypted"),
    [
        (b"\xff", b""),
        (b"\x0a\xff", b""),
        (b"", b""),
        # A name of a key, and what no answer to Encrypt is: not ending, annotations that are none.
        (b"\x0a\x02v2\x12\x02ok\x1a\x01k", b"\x1a\x02\x0a\xff"),
        (b"\x0a\x02v2\x12\x02ok\x1a\x01k", b"\x1a\x03\x0a\x01\xff"),
        (b"\x0a\x02v2\x12\x02ok\x1a\x01k", b"\xff"),
        (b"\x0a\x02v2\x12\x02ok\x1a\x01k", b""),
    ],
)
def test_a_plugin_that_talks_nonsense(status: bytes, encrypted: bytes, tmp_path: Path) -> None:
    async def main() -> None:
        async with nonsense(
            tmp_path, {"Status": status, "Encrypt": encrypted, "Decrypt": b"\xff"}
        ) as endpoint:
            one = Watched(endpoint, Plugin())
            await one.envelope.check()
            assert one.envelope.unhealthy
            with pytest.raises(TransformError):
                one.envelope.encrypt(b"{}", HERE)
            await one.envelope.close()

    run(main)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff", "proto: unexpected EOF"),
        (b"", "encrypted data is empty"),
        (encode(b"x", b""), "encrypted DEK source is empty"),
        (encode(b"x", Source(key_id="k", encrypted=bytes(1025)).encode()), "exceeds the max size of 1024"),
        (encode(b"x", Source(key_id="", encrypted=b"x").encode()), "keyID is empty"),
        (
            encode(b"x", Source(key_id="k", encrypted=b"x", kind=7).encode()),
            "unknown encryptedDEKSourceType: 7",
        ),
    ],
)
def test_messages_that_are_none(data: bytes, words: str) -> None:
    with pytest.raises(TransformError, match=words):
        decode(data)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=60))
def test_nothing_but_a_complaint_comes_of_any_bytes(data: bytes) -> None:
    with contextlib.suppress(TransformError):
        decode(data)


def test_a_server_with_a_plugin(tmp_path: Path) -> None:
    async def main() -> None:
        plugin = Plugin()
        async with serving(plugin, tmp_path) as endpoint:
            rules = [rule(["secrets"], kms("vault", endpoint), IDENTITY)]
            async with api(tmp_path, encryption=encryption(tmp_path, *rules, clock=Hasty())) as running:
                await running.ok("POST", SECRETS, secret("a"))
                stored = await raw(running, "/registry/secrets/default/a")
                assert stored.startswith(b"k8s:enc:kms:v2:vault:")
                assert WORD.encode() not in stored
                assert await page(running, "/healthz/kms-providers") == "ok"
                plugin.key_id = "key-2"

                async def rewritten() -> bool:
                    item = await running.ok("GET", f"{SECRETS}/a")
                    await running.ok("PUT", f"{SECRETS}/a", item)
                    return b"key-2" in await raw(running, "/registry/secrets/default/a")

                await until(rewritten)
                plugin.healthz = "sealed"

                async def sick() -> bool:
                    return "[-]kms-providers failed" in await page(running, "/readyz")

                await until(sick)
                # Nothing that a restart would mend.
                assert await page(running, "/livez") == "ok"
                assert (await running.send("GET", "/livez/kms-providers")).status == 404
                figures = await page(running, "/metrics")
                for name in (
                    'kms_operations_latency_seconds_count{provider_name="vault",method_name="/v2.KeyManagementService',
                    'key_id_hash_total{transformation_type="to_storage",provider_name="vault",key_id_hash="sha256:',
                    'key_id_hash_status_last_timestamp_seconds{provider_name="vault"',
                    'dek_source_cache_size{provider_name="vault"} 2',
                ):
                    assert f"apiserver_envelope_encryption_{name}" in figures, name

    run(main)


def test_a_plugin_that_comes_later(tmp_path: Path) -> None:
    async def main() -> None:
        plugin = Plugin()
        async with serving(plugin, tmp_path) as endpoint:
            rules = [rule(["secrets"], kms("vault", endpoint, "1s"), provider("aesgcm", "old"))]
            async with api(tmp_path, encryption=encryption(tmp_path, *rules, clock=Hasty())) as running:
                await running.ok("POST", SECRETS, secret("a"))
        (tmp_path / "kms.sock").unlink(missing_ok=True)
        async with api(tmp_path, encryption=encryption(tmp_path, *rules, clock=Hasty())) as running:
            code, status = await running.call("GET", SECRETS)
            assert (code, status["reason"]) == (500, "InternalError")
            code, status = await running.call("POST", SECRETS, secret("b"))
            assert (code, status["message"]) == (
                500,
                "Internal error occurred: got unexpected nil transformer",
            )
            async with serving(plugin, tmp_path):

                async def well() -> bool:
                    return (await running.call("GET", SECRETS))[0] == 200

                await until(well)
                await running.ok("POST", SECRETS, secret("b"))

    run(main)
