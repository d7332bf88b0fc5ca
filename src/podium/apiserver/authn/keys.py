"""Keys for service-account tokens: what PEM files hold, each with the one algorithm it may be used with.

The algorithm follows from the key, never from a token's header: an attacker who writes `alg: none` or signs
with a public key as an HMAC secret finds no key that takes it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podium.apiserver.authn.der import elements
from podium.base import pki
from podium.machinery.errors import Object

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_SEQUENCE = 0x30
_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key under the name that upstream gives it: the digest of its encoding."""

    key_id: str
    algorithm: str
    public: PublicKey

    def as_jwk(self) -> Object:
        """Return the key as a member of a JSON Web Key Set."""
        from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

        common: Object = {"use": "sig", "kid": self.key_id, "alg": self.algorithm}
        if isinstance(self.public, rsa.RSAPublicKey):
            rsa_numbers = self.public.public_numbers()
            size = (rsa_numbers.n.bit_length() + 7) // 8
            return {
                **common,
                "kty": "RSA",
                "n": _base64url(rsa_numbers.n.to_bytes(size, "big")),
                "e": _base64url(rsa_numbers.e.to_bytes(3, "big").lstrip(b"\0")),
            }
        numbers = self.public.public_numbers()
        size = (self.public.curve.key_size + 7) // 8
        return {
            **common,
            "kty": "EC",
            "crv": _CURVES[self.public.curve.name],
            "x": _base64url(numbers.x.to_bytes(size, "big")),
            "y": _base64url(numbers.y.to_bytes(size, "big")),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A private key with the name and algorithm that go into a token's header."""

    key_id: str
    algorithm: str
    private: PrivateKey


def check(pem: bytes) -> None:
    """Return when the text looks like keys that can be used. Raises ValueError.

    By hand, for a start that does not wait for `cryptography`: what passes may still be no good key.
    """
    found = False
    for match in _PEM_BLOCK.finditer(pem):
        label, block = match.group(1), match.group(0)
        if label == b"ENCRYPTED PRIVATE KEY" or b"ENCRYPTED" in block:
            raise ValueError("the private key is encrypted")
        if label != b"CERTIFICATE" and not label.endswith((b"PRIVATE KEY", b"PUBLIC KEY")):
            continue
        try:
            encoded = b"".join(line for line in block.splitlines()[1:-1] if b":" not in line)
            ((tag, _),) = elements(base64.b64decode(encoded, validate=True))
        except (ValueError, IndexError):
            tag = 0
        if tag != _SEQUENCE:
            raise ValueError(f"the block {label.decode()} is damaged")
        found = True
    if not found:
        raise ValueError("data does not contain any valid RSA or ECDSA public keys")


def verification_keys(pems: Iterable[bytes]) -> tuple[VerificationKey, ...]:
    """Return the public keys of all PEM blocks (public keys, private keys, certificates), each once."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    keys: dict[str, VerificationKey] = {}
    for pem in pems:
        for match in _PEM_BLOCK.finditer(pem):
            block, label = match.group(0), match.group(1)
            public: Any
            if label == b"CERTIFICATE":
                public = x509.load_pem_x509_certificate(block).public_key()
            elif label.endswith(b"PRIVATE KEY"):
                public = _private(block).public_key()
            elif label.endswith(b"PUBLIC KEY"):
                public = serialization.load_pem_public_key(block)
            else:
                continue
            key = _verification_key(public)
            keys[key.key_id] = key
    return tuple(keys.values())


def signing_key(pem: bytes) -> SigningKey:
    """Return the private key of a PEM file. Raises ValueError for a kind that cannot sign tokens."""
    private = _private(pem)
    key = _verification_key(private.public_key())
    return SigningKey(key_id=key.key_id, algorithm=key.algorithm, private=private)


def _private(pem: bytes) -> Any:
    """Return a private key. Raises ValueError, also for one that only a password opens."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(str(error)) from None


def _verification_key(public: Any) -> VerificationKey:
    algorithm = pki.token_algorithm(public)
    return VerificationKey(key_id=pki.key_id(public), algorithm=algorithm, public=public)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
