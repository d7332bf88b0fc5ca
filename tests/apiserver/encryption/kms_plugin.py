"""A KMS v2 plugin on a unix socket; its messages are made by the protobuf library, of upstream's fields."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_BYTES, _STRING, _ENUM = 12, 9, 5
_FIELDS = {
    "StatusRequest": [],
    "StatusResponse": [("version", 1, _STRING), ("healthz", 2, _STRING), ("key_id", 3, _STRING)],
    "DecryptRequest": [
        ("ciphertext", 1, _BYTES),
        ("uid", 2, _STRING),
        ("key_id", 3, _STRING),
        ("annotations", 4, 0),
    ],
    "DecryptResponse": [("plaintext", 1, _BYTES)],
    "EncryptRequest": [("plaintext", 1, _BYTES), ("uid", 2, _STRING)],
    "EncryptResponse": [("ciphertext", 1, _BYTES), ("key_id", 2, _STRING), ("annotations", 3, 0)],
    "EncryptedObject": [
        ("encryptedData", 1, _BYTES),
        ("keyID", 2, _STRING),
        ("encryptedDEKSource", 3, _BYTES),
        ("annotations", 4, 0),
        ("encryptedDEKSourceType", 5, _ENUM),
    ],
}


@cache
def _pool() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="kms.proto", package="v2", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            if kind:
                message.field.add(name=field, number=number, type=kind, label=1)
                continue
            entry = message.nested_type.add(name="AnnotationsEntry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=_STRING, label=1)
            entry.field.add(name="value", number=2, type=_BYTES, label=1)
            message.field.add(
                name=field, number=number, type=11, label=3, type_name=f".v2.{name}.AnnotationsEntry"
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def message(name: str) -> Any:
    """Return the class of a message of package v2."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"v2.{name}"))


class Plugin:
    """Encrypts by turning bytes over, with a key that tests may replace."""

    def __init__(self) -> None:
        self.version, self.healthz, self.key_id = "v2", "ok", "key-1"
        self.encrypts_with = ""
        """Another key than the one that Status names."""
        self.annotations = {"kms.example.com": b"note"}
        self.refuses = False
        self.calls: list[str] = []

    async def status(self, _request: Any, context: Any) -> Any:
        await self._called("Status", context)
        return message("StatusResponse")(version=self.version, healthz=self.healthz, key_id=self.key_id)

    async def encrypt(self, request: Any, context: Any) -> Any:
        await self._called("Encrypt", context)
        key_id = self.encrypts_with or self.key_id
        ciphertext = _turned(request.plaintext, key_id)
        return message("EncryptResponse")(ciphertext=ciphertext, key_id=key_id, annotations=self.annotations)

    async def decrypt(self, request: Any, context: Any) -> Any:
        await self._called("Decrypt", context)
        assert request.uid
        assert dict(request.annotations) == self.annotations
        return message("DecryptResponse")(plaintext=_turned(request.ciphertext, request.key_id))

    async def _called(self, method: str, context: Any) -> None:
        self.calls.append(method)
        if self.refuses:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the vault is sealed")


def _turned(data: bytes, key_id: str) -> bytes:
    return bytes(byte ^ len(key_id) ^ 0x5A for byte in data)


@asynccontextmanager
async def serving(plugin: Plugin, folder: Path) -> AsyncIterator[str]:
    """Serve the plugin; yield its endpoint."""
    server: Any = grpc.aio.server()
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            handler,
            request_deserializer=message(f"{name}Request").FromString,
            response_serializer=message(f"{name}Response").SerializeToString,
        )
        for name, handler in (
            ("Status", plugin.status),
            ("Encrypt", plugin.encrypt),
            ("Decrypt", plugin.decrypt),
        )
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("v2.KeyManagementService", handlers),)
    )
    path = folder / "kms.sock"
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield f"unix://{path}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def nonsense(folder: Path, answers: dict[str, bytes]) -> AsyncIterator[str]:
    """Serve something that answers each method with these bytes."""
    server: Any = grpc.aio.server()

    def handler(answer: bytes) -> Any:
        async def handle(_request: bytes, _context: Any) -> bytes:
            return answer

        return grpc.unary_unary_rpc_method_handler(handle)

    handlers = {name: handler(answer) for name, answer in answers.items()}
    generic = grpc.method_handlers_generic_handler("v2.KeyManagementService", handlers)
    server.add_generic_rpc_handlers((generic,))
    path = folder / "kms.sock"
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    try:
        yield f"unix://{path}"
    finally:
        await server.stop(None)
