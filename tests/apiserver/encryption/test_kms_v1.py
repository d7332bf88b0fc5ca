"""KMS v1, behind its gate: a key for each value, encrypted by a plugin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from podium.apiserver.encryption.ciphers import Cbc, Gcm
from podium.apiserver.encryption.configuration import Kms
from podium.apiserver.encryption.encryption import Encryption
from podium.apiserver.encryption.kms_service import Plugin
from podium.apiserver.encryption.kms_v1 import EnvelopeV1, KmsV1Service
from podium.apiserver.encryption.metrics import EncryptionMetrics
from podium.apiserver.encryption.transformers import Context, TransformError
from podium.base.clock import WallClock
from podium.base.metrics import Registry
from podium.machinery.codec.protobuf_wire import delimited, fields
from tests.apiserver.encryption.builders import IDENTITY, configuration, rule
from tests.apiserver.encryption.test_at_rest import SECRETS, WORD, page, raw, secret
from tests.apiserver.fakes import FakeClock
from tests.apiserver.harness import api

HERE = Context(b"/registry/secrets/default/a", "secrets")


class PluginV1:
    """Encrypts by turning bytes over."""

    def __init__(self) -> None:
        self.version = b"v1beta1"
        self.refuses = False
        self.calls: list[str] = []

    async def answer(self, method: str, request: bytes, context: Any) -> bytes:
        self.calls.append(method)
        asked = {number: value for number, _, value in fields(request, 0, len(request))}
        assert asked[1] == b"v1beta1"
        if method == "Version":
            return delimited(1, self.version)
        if self.refuses:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the vault is sealed")
        data = asked[2]
        assert isinstance(data, bytes)
        return delimited(1, bytes(byte ^ 0x5A for byte in data))


@asynccontextmanager
async def serving(plugin: PluginV1, folder: Path) -> AsyncIterator[str]:
    server: Any = grpc.aio.server()

    def handler(method: str) -> Any:
        async def handle(request: bytes, context: Any) -> bytes:
            return await plugin.answer(method, request, context)

        return grpc.unary_unary_rpc_method_handler(handle)

    handlers = {method: handler(method) for method in ("Version", "Encrypt", "Decrypt")}
    generic = grpc.method_handlers_generic_handler("v1beta1.KeyManagementService", handlers)
    server.add_generic_rpc_handlers((generic,))
    path = folder / "kms.sock"
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield f"unix://{path}"
    finally:
        await server.stop(None)


def envelope(endpoint: str) -> EnvelopeV1:
    metrics = EncryptionMetrics(Registry())
    told = Kms(name="old", endpoint=endpoint, timeout_s=10, version="v1")
    return EnvelopeV1("old", KmsV1Service(Plugin(told, metrics.called)), metrics, FakeClock())


async def written(one: EnvelopeV1, value: bytes) -> bytes:
    await one.before_write()
    return one.encrypt(value, HERE)


async def read(one: EnvelopeV1, value: bytes) -> tuple[bytes, bool]:
    await one.prepare([value])
    return one.decrypt(value, HERE)


def test_each_value_has_a_key(tmp_path: Path) -> None:
    async def main() -> None:
        plugin = PluginV1()
        async with serving(plugin, tmp_path) as endpoint:
            one = envelope(endpoint)
            values = await asyncio.gather(*(written(one, b"%d" % number) for number in range(5)))
            assert plugin.calls.count("Encrypt") == 5
            restarted = envelope(endpoint)
            assert await asyncio.gather(*(read(restarted, value) for value in values)) == [
                (b"%d" % number, False) for number in range(5)
            ]
            assert plugin.calls.count("Decrypt") == 5
            # As upstream reads it.
            length = int.from_bytes(values[0][:2], "big")
            key = bytes(byte ^ 0x5A for byte in values[0][2 : 2 + length])
            assert Gcm(key).decrypt(values[0][2 + length :], HERE)[0] == b"0"
            # And what it wrote before 1.25.
            old = values[0][: 2 + length] + Cbc(key).encrypt(b"old", HERE)
            assert await read(one, old) == (b"old", True)
            await one.close()
            await restarted.close()

    asyncio.run(main())


def test_a_plugin_that_fails(tmp_path: Path) -> None:
    async def main() -> None:
        plugin = PluginV1()
        async with serving(plugin, tmp_path) as endpoint:
            one, restarted = envelope(endpoint), envelope(endpoint)
            value = await written(one, b"{}")
            await one.check()
            assert one.unhealthy == ""
            plugin.refuses = True
            await one.check()
            assert one.unhealthy == (
                "failed to perform encrypt section of the healthz check for KMS Provider old, error: rpc "
                "error: code = Unavailable desc = the vault is sealed"
            )
            for work in (written(one, b"{}"), read(restarted, value)):
                with pytest.raises(TransformError, match="the vault is sealed"):
                    await work
            assert await read(one, value) == (b"{}", False)
            for nonsense in (b"", b"\x00", b"\x00\x05abc"):
                with pytest.raises(TransformError, match="failed to read uint16 length prefixed data"):
                    await read(one, nonsense)
            plugin.refuses, plugin.version = False, b"v1"
            other = envelope(endpoint)
            with pytest.raises(TransformError, match="api version v1 is not supported"):
                await written(other, b"{}")
            for made in (one, restarted, other):
                await made.close()

    asyncio.run(main())


def test_a_server_with_a_plugin(tmp_path: Path) -> None:
    async def main() -> None:
        plugin = PluginV1()
        async with serving(plugin, tmp_path) as endpoint:
            told = {"kms": {"name": "old", "endpoint": endpoint, "cachesize": 100}}
            file = tmp_path / "encryption.yaml"
            file.write_bytes(configuration(rule(["secrets"], told, IDENTITY)))
            made = Encryption(file, reload=False, kms_v1=True, clock=WallClock())
            async with api(tmp_path, encryption=made) as running:
                await asyncio.gather(*(running.ok("POST", SECRETS, secret(name)) for name in "abc"))
                stored = await raw(running, "/registry/secrets/default/b")
                assert stored.startswith(b"k8s:enc:kms:v1:old:")
                assert WORD.encode() not in stored
                assert await page(running, "/healthz/kms-provider-0") == "ok"
                listed = await running.ok("GET", SECRETS)
                assert [item["data"] for item in listed["items"]] == [{"word": WORD}] * 3
                plugin.refuses = True
                code, status = await running.call("POST", SECRETS, secret("d"))
                assert (code, status["reason"]) == (500, "InternalError")
                assert "the vault is sealed" in status["message"]

    asyncio.run(main())
