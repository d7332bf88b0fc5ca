"""Signed tokens of other issuers: their three parts, and the keys of an issuer's JSON Web Key Set.

The algorithm a token names counts only when it is one of the few allowed, all of them with public keys, and
only with a key made for it: there is nothing to confuse a public key with a secret by.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from podium.machinery.depth import text_too_deep
from podium.machinery.errors import Object

GOOGLE = "https://accounts.google.com"
GOOGLE_WITHOUT_SCHEME = "accounts.google.com"
"""How Google's tokens may name it, which OpenID Connect allows for this issuer alone."""

_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_CURVE_NAMES = ("P-256", "P-384", "P-521")
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
"""What makes a public key. Keys of types and curves that no algorithm here is for are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A public key of an issuer."""

    key_id: str
    curve: str
    """"" for RSA."""
    public: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A compact token in its parts; nothing in it is believed before its signature has been checked."""

    algorithm: str
    key_id: str
    payload: bytes
    signed: bytes
    signature: bytes

    def verified_by(self, keys: Iterable[Key]) -> bool:
        """Tell whether one of the keys that it can be meant for has signed it."""
        from jwt.algorithms import get_default_algorithms  # noqa: PLC0415 - imports `cryptography`

        algorithm = get_default_algorithms()[self.algorithm]
        curve = _CURVES.get(self.algorithm, "")
        return any(
            algorithm.verify(self.signed, key.public, self.signature)
            for key in keys
            if key.curve == curve and self.key_id in ("", key.key_id)
        )


def parse(text: str) -> Token:
    """Return the parts of a token. Raises ValueError when it is none."""
    parts = text.split(".")
    if len(parts) != 3:
        raise ValueError("oidc: malformed jwt")
    try:
        header = json_object(_decoded(parts[0]))
        payload, signature = _decoded(parts[1]), _decoded(parts[2])
    except ValueError as error:
        raise ValueError(f"oidc: malformed jwt: {error}") from None
    algorithm, key_id = header.get("alg"), header.get("kid", "")
    if not isinstance(algorithm, str) or not isinstance(key_id, str):
        raise ValueError("oidc: malformed jwt: no algorithm, or a key id that is no string")
    if "crit" in header:
        # Something must be understood that is not. RFC 7515, 4.1.11
        raise ValueError("oidc: malformed jwt: unsupported crit header")
    signed = f"{parts[0]}.{parts[1]}".encode()
    return Token(algorithm=algorithm, key_id=key_id, payload=payload, signed=signed, signature=signature)


def untrusted_issuer(text: str) -> str | None:
    """Return the issuer that a token claims to be from, None when it is no such token."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        issuer = json_object(_decoded(parts[1])).get("iss", "")
    except ValueError:
        return None
    if issuer == GOOGLE_WITHOUT_SCHEME:
        return GOOGLE
    return issuer if isinstance(issuer, str) else None


def json_object(data: bytes) -> Object:
    """Return a JSON object. Raises ValueError."""
    value = orjson.loads(data)
    if not isinstance(value, dict) or text_too_deep(data, value):
        raise ValueError("not a JSON object")
    return value


def key_set(data: bytes) -> tuple[Key, ...]:
    """Return the keys of a JSON Web Key Set that tokens may be signed with. Raises ValueError."""
    found = json_object(data).get("keys") or []
    if not isinstance(found, list):
        raise ValueError("keys is no list")
    keys = []
    for one in found:
        if not isinstance(one, dict):
            raise ValueError("a key is no object")
        if one.get("kty") == "RSA" or (one.get("kty") == "EC" and one.get("crv") in _CURVE_NAMES):
            keys.append(_key(one))
    return tuple(keys)


def _key(jwk: Object) -> Key:
    import jwt  # noqa: PLC0415
    from jwt.algorithms import ECAlgorithm, RSAAlgorithm  # noqa: PLC0415

    kind = jwk["kty"]
    made: Any = RSAAlgorithm if kind == "RSA" else ECAlgorithm
    try:
        # Only what makes the public key: should an issuer publish a private one, we do not hold it.
        public = made.from_jwk({"kty": kind, **{member: jwk[member] for member in _MEMBERS[kind]}})
    except (jwt.InvalidKeyError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a key cannot be read: {error}") from None
    key_id = jwk.get("kid") or ""
    return Key(key_id=str(key_id), curve=public.curve.name if kind == "EC" else "", public=public)


def _decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part.encode() + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("illegal base64 data") from error
