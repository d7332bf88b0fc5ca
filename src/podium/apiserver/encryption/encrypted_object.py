"""What a KMS v2 provider stores: upstream's EncryptedObject, as protobuf.

    1 encryptedData · 2 keyID · 3 encryptedDEKSource · 4 annotations · 5 encryptedDEKSourceType

Upstream: apiserver/pkg/storage/value/encrypt/envelope/kmsv2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.apiserver.encryption.transformers import TransformError
from podium.machinery.codec.protobuf_wire import VARINT, Malformed, delimited, fields, tag, varint_bytes

AES_GCM_KEY, HKDF_SHA256_XNONCE_AES_GCM_SEED = 0, 1
"""What the plain text of a DEK source is: the key itself, which upstream wrote before 1.29, or a seed."""

KEY_ID_BYTES_MAX = 1024
DEK_SOURCE_BYTES_MAX = 1024
ANNOTATIONS_BYTES_MAX = 32 * 1024

_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the key of a value comes from, as only the plugin can tell."""

    key_id: str
    encrypted: bytes
    annotations: Mapping[str, bytes] = field(default_factory=dict)
    kind: int = HKDF_SHA256_XNONCE_AES_GCM_SEED

    @property
    def cache_key(self) -> tuple[object, ...]:
        return self.kind, self.encrypted, self.key_id, tuple(sorted(self.annotations.items()))

    def encode(self) -> bytes:
        """Return the fields behind the data, in the order of their numbers."""
        out = delimited(2, self.key_id.encode()) + delimited(3, self.encrypted)
        out += encode_annotations(4, self.annotations)
        return out + (tag(5, VARINT) + varint_bytes(self.kind) if self.kind else b"")

    def check(self) -> None:
        """Raise `TransformError` for what no plugin may answer."""
        if self.kind not in (AES_GCM_KEY, HKDF_SHA256_XNONCE_AES_GCM_SEED):
            raise TransformError(f"unknown encryptedDEKSourceType: {self.kind}")
        if not self.encrypted:
            raise TransformError("failed to validate encrypted DEK source: encrypted DEK source is empty")
        if len(self.encrypted) > DEK_SOURCE_BYTES_MAX:
            raise TransformError(
                "failed to validate encrypted DEK source: encrypted DEK source is "
                f"{len(self.encrypted)} bytes, which exceeds the max size of {DEK_SOURCE_BYTES_MAX}"
            )
        if why := wrong_key_id(self.key_id):
            raise TransformError(f"failed to validate key id: {why}")
        if why := _wrong_annotations(self.annotations):
            raise TransformError(f"failed to validate annotations: {why}")


def wrong_key_id(key_id: str) -> str:
    """Return what is wrong with a key id, "" when nothing is."""
    size = len(key_id.encode())
    if not size:
        return "keyID is empty"
    if size > KEY_ID_BYTES_MAX:
        return f"keyID is {size} bytes, which exceeds the max size of {KEY_ID_BYTES_MAX}"
    return ""


def _wrong_annotations(annotations: Mapping[str, bytes]) -> str:
    for name in annotations:
        if not _DOMAIN.fullmatch(name):
            return f'annotations: Invalid value: "{name}": should be a domain with at least two segments'
    total = sum(len(name.encode()) + len(value) for name, value in annotations.items())
    if total > ANNOTATIONS_BYTES_MAX:
        return f"total size of annotations is {total}, which exceeds the max size of {ANNOTATIONS_BYTES_MAX}"
    return ""


def encode(data: bytes, source: bytes) -> bytes:
    """Return the message; `source` is what `Source.encode` returned."""
    return delimited(1, data) + source


def decode(message: bytes) -> tuple[bytes, Source]:
    """Return the data and where its key comes from. Raises `TransformError`."""
    data = encrypted = b""
    key_id, kind = "", AES_GCM_KEY
    annotations: dict[str, bytes] = {}
    try:
        for number, _, value in fields(message, 0, len(message)):
            if isinstance(value, int):
                kind = value if number == 5 else kind
            elif number == 1:
                data = value
            elif number == 2:
                key_id = value.decode()
            elif number == 3:
                encrypted = value
            elif number == 4:
                annotations.update([decode_annotation(value)])
    except (Malformed, UnicodeDecodeError) as error:
        raise TransformError(f"proto: {error}") from None
    source = Source(key_id=key_id, encrypted=encrypted, annotations=annotations, kind=kind)
    if not data:
        raise TransformError("encrypted data is empty")
    source.check()
    return data, source


def encode_annotations(number: int, annotations: Mapping[str, bytes]) -> bytes:
    """Return a map<string, bytes> as the fields of its entries."""
    return b"".join(
        delimited(number, delimited(1, name.encode()) + delimited(2, annotations[name]))
        for name in sorted(annotations)
    )


def decode_annotation(entry: bytes) -> tuple[str, bytes]:
    """Return one entry of such a map. Raises `Malformed`, UnicodeDecodeError."""
    name, content = "", b""
    for number, _, value in fields(entry, 0, len(entry)):
        if isinstance(value, bytes):
            if number == 1:
                name = value.decode()
            elif number == 2:
                content = value
    return name, content
