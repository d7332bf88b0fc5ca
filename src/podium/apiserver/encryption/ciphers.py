"""The ciphers, in upstream's layouts, so that a value that one has written the other reads.

    aescbc     IV (16 bytes) | AES-CBC with PKCS#7 padding
    aesgcm     nonce (12) | AES-GCM, the key in the store authenticated along
    secretbox  nonce (24) | XSalsa20-Poly1305
    KMS v2     info (32) | what aesgcm writes, with the key HKDF-SHA256(seed, info), used once

`cryptography` is imported where a cipher is made, PyNaCl (the extra `secretbox`) where a secretbox is.
"""

from __future__ import annotations

import hmac
import os
from typing import Any

from podium.apiserver.encryption.transformers import Context, TransformError

NONCE_BYTES = 12
SEED_BYTES = 32
_INFO_BYTES = 32
_BLOCK_BYTES = 16
_SECRETBOX_NONCE_BYTES, _SECRETBOX_TAG_BYTES = 24, 16
_TOO_SHORT = "the stored data was shorter than the required size"


class Gcm:
    """AES-GCM with a random nonce. A key may write some 2^32 values."""

    def __init__(self, key: bytes) -> None:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        self._cipher = AESGCM(key)
        self._invalid = InvalidTag

    def encrypt(self, value: bytes, context: Context) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, context.key)

    def decrypt(self, value: bytes, context: Context) -> tuple[bytes, bool]:
        if len(value) < NONCE_BYTES:
            raise TransformError(_TOO_SHORT)
        try:
            return self._cipher.decrypt(value[:NONCE_BYTES], value[NONCE_BYTES:], context.key), False
        except self._invalid:
            raise TransformError("cipher: message authentication failed") from None


class Cbc:
    """AES-CBC. Nothing tells whether somebody has changed the stored bytes; there for data of old."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.algorithms import AES  # noqa: PLC0415

        self._algorithm = AES(key)

    def _cipher(self, vector: bytes) -> Any:
        from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.modes import CBC  # noqa: PLC0415

        return Cipher(self._algorithm, CBC(vector))

    def encrypt(self, value: bytes, context: Context) -> bytes:
        padding = _BLOCK_BYTES - len(value) % _BLOCK_BYTES
        vector = os.urandom(_BLOCK_BYTES)
        written: bytes = self._cipher(vector).encryptor().update(value + bytes([padding]) * padding)
        return vector + written

    def decrypt(self, value: bytes, context: Context) -> tuple[bytes, bool]:
        if len(value) < _BLOCK_BYTES:
            raise TransformError(_TOO_SHORT)
        if len(value) % _BLOCK_BYTES:
            raise TransformError("the stored data is not a multiple of the block size")
        plain: bytes = self._cipher(value[:_BLOCK_BYTES]).decryptor().update(value[_BLOCK_BYTES:])
        padding = plain[-1] if plain else 0
        if not 0 < padding <= len(plain):
            raise TransformError("invalid PKCS7 data (empty or not padded)")
        if plain[-padding:] != bytes([padding]) * padding:
            raise TransformError("invalid padding on input")
        return plain[:-padding], False


class Secretbox:
    """NaCl's secretbox. The key in the store is not authenticated, as upstream's."""

    def __init__(self, key: bytes) -> None:
        try:
            from nacl.bindings import crypto_secretbox, crypto_secretbox_open  # noqa: PLC0415
            from nacl.exceptions import CryptoError  # noqa: PLC0415
        except ImportError as error:
            raise TransformError(
                f"the provider secretbox needs pip install 'podium[secretbox]' ({error.name})"
            ) from None
        self._key = key
        self._seal: Any = crypto_secretbox
        self._open: Any = crypto_secretbox_open
        self._invalid = CryptoError

    def encrypt(self, value: bytes, context: Context) -> bytes:
        nonce = os.urandom(_SECRETBOX_NONCE_BYTES)
        sealed: bytes = self._seal(value, nonce, self._key)
        return nonce + sealed

    def decrypt(self, value: bytes, context: Context) -> tuple[bytes, bool]:
        if len(value) < _SECRETBOX_NONCE_BYTES + _SECRETBOX_TAG_BYTES:
            raise TransformError(_TOO_SHORT)
        nonce, sealed = value[:_SECRETBOX_NONCE_BYTES], value[_SECRETBOX_NONCE_BYTES:]
        try:
            plain: bytes = self._open(sealed, nonce, self._key)
        except self._invalid:
            # Upstream's words, which mean that it does not verify.
            raise TransformError("output array was not large enough for encryption") from None
        return plain, False


class SeededGcm:
    """AES-GCM with a key for each value, derived from a seed: a seed never wears out."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) < SEED_BYTES:
            raise TransformError(f"invalid seed length {len(seed)} used for key generation")
        self._seed = seed

    def _derived(self, info: bytes) -> Gcm:
        # HKDF's expansion to one block of its hash: 32 bytes are all that is needed.
        return Gcm(hmac.digest(self._seed, info + b"\x01", "sha256"))

    def encrypt(self, value: bytes, context: Context) -> bytes:
        info = os.urandom(_INFO_BYTES)
        return info + self._derived(info).encrypt(value, context)

    def decrypt(self, value: bytes, context: Context) -> tuple[bytes, bool]:
        if len(value) < _INFO_BYTES:
            raise TransformError(_TOO_SHORT)
        return self._derived(value[:_INFO_BYTES]).decrypt(value[_INFO_BYTES:], context)
