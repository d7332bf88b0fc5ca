"""Ciphers in upstream's layouts, and the choice among them by prefix."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from nacl.secret import SecretBox

from podium.apiserver.encryption.ciphers import Cbc, Gcm, Secretbox, SeededGcm
from podium.apiserver.encryption.transformers import (
    Context,
    Identity,
    Prefixed,
    PrefixTransformers,
    Transformer,
    TransformError,
)

KEY = bytes(range(32))
HERE, ELSEWHERE = Context(b"/registry/secrets/a/b", "secrets"), Context(b"/registry/secrets/a/c", "secrets")

CIPHERS = pytest.mark.parametrize("make", [Gcm, Cbc, Secretbox, SeededGcm])


def refusal(transformer: Transformer, value: bytes, context: Context = HERE) -> str:
    with pytest.raises(TransformError) as refused:
        transformer.decrypt(value, context)
    return str(refused.value)


@CIPHERS
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 100_000])
def test_what_goes_in_comes_out(make: Callable[[bytes], Transformer], size: int) -> None:
    cipher, value = make(KEY), os.urandom(size)
    written = cipher.encrypt(value, HERE)
    assert cipher.decrypt(written, HERE) == (value, False)
    assert size < 16 or value not in written
    assert written != cipher.encrypt(value, HERE)


@CIPHERS
def test_what_is_cut_short_is_refused(make: Callable[[bytes], Transformer]) -> None:
    cipher = make(KEY)
    written = cipher.encrypt(b"value", HERE)
    for size in range(len(written)):
        refusal(cipher, written[:size])
    assert refusal(cipher, b"") == "the stored data was shorter than the required size"


@pytest.mark.parametrize("make", [Gcm, Secretbox, SeededGcm])
def test_what_was_changed_is_refused(make: Callable[[bytes], Transformer]) -> None:
    cipher = make(KEY)
    written = cipher.encrypt(b"value", HERE)
    for place in range(len(written)):
        refusal(cipher, written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :])
    refusal(make(bytes(32)), written)


@pytest.mark.parametrize("make", [Gcm, SeededGcm])
def test_what_was_moved_to_another_key_is_refused(make: Callable[[bytes], Transformer]) -> None:
    cipher = make(KEY)
    words = refusal(cipher, cipher.encrypt(b"value", HERE), ELSEWHERE)
    assert words == "cipher: message authentication failed"


def test_layouts_are_upstreams() -> None:
    """Each is read by what knows the primitive alone."""
    value = b'{"kind":"Secret"}'
    written = Gcm(KEY).encrypt(value, HERE)
    assert AESGCM(KEY).decrypt(written[:12], written[12:], HERE.key) == value

    written = Secretbox(KEY).encrypt(value, HERE)
    assert SecretBox(KEY).decrypt(written) == value

    written = SeededGcm(KEY).encrypt(value, HERE)
    info, nonce, sealed = written[:32], written[32:44], written[44:]
    derived = HKDFExpand(algorithm=hashes.SHA256(), length=32, info=info).derive(KEY)
    assert AESGCM(derived).decrypt(nonce, sealed, HERE.key) == value


def test_a_known_vector_of_cbc() -> None:
    # NIST SP 800-38A, F.2.5: AES-256-CBC, its first block; the padding is a block of its own.
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    vector, plain = bytes(range(16)), bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    sealed = bytes.fromhex("f58c4c04d6e5f1ba779eabfb5f7bfbd6")
    cipher = Cbc(key)
    encryptor = cipher._cipher(vector).encryptor()
    assert encryptor.update(plain) == sealed
    padding = encryptor.update(bytes([16]) * 16)
    assert cipher.decrypt(vector + sealed + padding, HERE) == (plain, False)


@pytest.mark.parametrize("last", [0, 17, 255])
def test_padding_that_is_none(last: int) -> None:
    cipher = Cbc(KEY)
    vector = bytes(16)
    sealed = cipher._cipher(vector).encryptor().update(bytes(15) + bytes([last]))
    assert refusal(cipher, vector + sealed) == "invalid PKCS7 data (empty or not padded)"
    assert refusal(cipher, vector + sealed[:-1]) == "the stored data is not a multiple of the block size"


class Figures:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str, str]] = []

    def __call__(
        self, resource: str, direction: str, prefix: str, seconds: float, wrong: TransformError | None
    ) -> None:
        self.seen.append((resource, direction, prefix, "OK" if wrong is None else wrong.code))


def transformers(figures: Figures, *chosen: tuple[str, Transformer]) -> PrefixTransformers:
    made = [Prefixed(prefix.encode(), transformer) for prefix, transformer in chosen]
    return PrefixTransformers("no matching prefix found", made, figures)


def test_the_first_writes_and_all_read() -> None:
    figures = Figures()
    one, two = ("k8s:enc:a:", Gcm(KEY)), ("k8s:enc:b:", Gcm(bytes(32)))
    old, new = transformers(figures, one), transformers(figures, two, one, ("", Identity()))
    written = old.encrypt(b"{}", HERE)
    assert written.startswith(b"k8s:enc:a:")
    assert new.decrypt(written, HERE) == (b"{}", True)
    assert new.decrypt(new.encrypt(b"{}", HERE), HERE) == (b"{}", False)
    assert new.decrypt(b'{"plain":1}', HERE) == (b'{"plain":1}', True)
    assert refusal(new, b"k8s:enc:c:x") == "no matching prefix found"
    assert figures.seen == [
        ("secrets", "to_storage", "k8s:enc:a:", "OK"),
        ("secrets", "from_storage", "k8s:enc:a:", "OK"),
        ("secrets", "to_storage", "k8s:enc:b:", "OK"),
        ("secrets", "from_storage", "k8s:enc:b:", "OK"),
        ("secrets", "from_storage", "identity", "OK"),
        ("secrets", "from_storage", "unknown", "unknown-non-grpc"),
    ]


def test_identity_in_front_leads_out_of_encryption() -> None:
    figures = Figures()
    encrypted = transformers(figures, ("k8s:enc:a:", Gcm(KEY)))
    leaving = transformers(figures, ("", Identity()), ("k8s:enc:a:", Gcm(KEY)))
    assert leaving.decrypt(encrypted.encrypt(b"{}", HERE), HERE) == (b"{}", True)
    assert leaving.encrypt(b"{}", HERE) == b"{}"
    assert leaving.decrypt(b"{}", HERE) == (b"{}", False)
    assert refusal(Identity(), b"k8s:enc:a:x") == "identity transformer tried to read encrypted data"


def test_a_second_provider_of_the_same_kind_may_have_the_key() -> None:
    figures = Figures()
    first, second = (
        transformers(figures, (f"{name}:", Gcm(key))) for name, key in (("1", KEY), ("2", bytes(32)))
    )
    both = transformers(figures, ("k8s:enc:aesgcm:v1:", second), ("k8s:enc:aesgcm:v1:", first))
    written = transformers(figures, ("k8s:enc:aesgcm:v1:", first)).encrypt(b"{}", HERE)
    assert both.decrypt(written, HERE) == (b"{}", True)
