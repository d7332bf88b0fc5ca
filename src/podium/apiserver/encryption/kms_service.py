"""Calls of KMS plugins: gRPC on a unix socket. Upstream: k8s.io/kms/apis/v2/api.proto."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from podium.apiserver.encryption.configuration import Kms
from podium.apiserver.encryption.encrypted_object import decode_annotation, encode_annotations
from podium.apiserver.encryption.transformers import TransformError
from podium.machinery.codec.protobuf_wire import Malformed, delimited, fields

ASKED_AT_ONCE = 16
"""Keys that a plugin is asked to decrypt at a time."""

_SERVICE = "/v2.KeyManagementService/"


@dataclass(frozen=True, slots=True)
class Status:
    """What a plugin says of itself."""

    version: str
    healthz: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Encrypted:
    """What a plugin has made of a plain text."""

    ciphertext: bytes
    key_id: str
    annotations: Mapping[str, bytes]


Measure = Callable[[str, str, float, str], None]
"""Called with provider, method, seconds and gRPC's status code."""


class Plugin:
    """One plugin. Connects when it is first called, and again when the plugin has come back."""

    def __init__(self, kms: Kms, measure: Measure) -> None:
        import grpc  # noqa: PLC0415 - only with a KMS provider

        self._name = kms.name
        self._timeout_s = kms.timeout_s
        self._measure = measure
        self._error: Any = grpc.RpcError
        options = (("grpc.default_authority", "localhost"), ("grpc.max_reconnect_backoff_ms", 3000))
        self._channel: Any = grpc.aio.insecure_channel(_target(kms.endpoint), options=options)

    async def call(self, method: str, request: bytes) -> dict[int, bytes]:
        """Return the fields of an answer that has each once. Raises `TransformError`."""
        return dict(_read(await self.raw(method, request)))

    async def raw(self, method: str, request: bytes) -> bytes:
        """Return an answer as it comes; `method` is the whole path. Raises `TransformError`."""
        call: Callable[..., Awaitable[bytes]] = self._channel.unary_unary(method)
        started, code = perf_counter(), "OK"
        try:
            return await call(request, timeout=self._timeout_s, wait_for_ready=True)
        except self._error as error:
            code = _code_name(error.code().name)
            text = f"rpc error: code = {code} desc = {error.details()}"
            raise TransformError(text, code) from None
        finally:
            self._measure(self._name, method, perf_counter() - started, code)

    async def close(self) -> None:
        await self._channel.close()


class KmsService:
    """KMS v2. Each call raises `TransformError`."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    async def status(self) -> Status:
        texts = {1: "", 2: "", 3: ""}
        for number, value in _read(await self._call("Status", b"")):
            if number in texts:
                texts[number] = value.decode("utf-8", "replace")
        return Status(*texts.values())

    async def encrypt(self, uid: str, plain: bytes) -> Encrypted:
        answer = await self._call("Encrypt", delimited(1, plain) + delimited(2, uid.encode()))
        ciphertext, key_id = b"", ""
        annotations: dict[str, bytes] = {}
        for number, value in _read(answer):
            if number == 1:
                ciphertext = value
            elif number == 2:
                key_id = value.decode("utf-8", "replace")
            elif number == 3:
                annotations.update([_annotation(value)])
        return Encrypted(ciphertext, key_id, annotations)

    async def decrypt(
        self, uid: str, ciphertext: bytes, key_id: str, annotations: Mapping[str, bytes]
    ) -> bytes:
        request = delimited(1, ciphertext) + delimited(2, uid.encode()) + delimited(3, key_id.encode())
        answer = await self._call("Decrypt", request + encode_annotations(4, annotations))
        plain = b""
        for number, value in _read(answer):
            if number == 1:
                plain = value
        return plain

    async def close(self) -> None:
        await self._plugin.close()

    async def _call(self, method: str, request: bytes) -> bytes:
        return await self._plugin.raw(_SERVICE + method, request)


def _read(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the fields of an answer that hold bytes, which are all that matter here."""
    try:
        for number, _, value in fields(message, 0, len(message)):
            if isinstance(value, bytes):
                yield number, value
    except Malformed as error:
        raise _malformed(error) from None


def _annotation(entry: bytes) -> tuple[str, bytes]:
    try:
        return decode_annotation(entry)
    except (Malformed, UnicodeDecodeError) as error:
        raise _malformed(error) from None


def _malformed(error: Exception) -> TransformError:
    return TransformError(f"the plugin's answer is malformed: {error}")


def _code_name(name: str) -> str:
    """Return gRPC's code as Go writes it: DEADLINE_EXCEEDED is DeadlineExceeded."""
    return "OK" if name == "OK" else "".join(part.capitalize() for part in name.split("_"))


def _target(endpoint: str) -> str:
    """Return gRPC's name of `unix:///path`, or of `unix:///@name` in the abstract namespace."""
    parts = urlsplit(endpoint)
    path = parts.netloc + parts.path
    if path.startswith("/@"):
        return f"unix-abstract:{path[2:]}"
    return f"unix:{path}"
