"""PEM and X.509 as checks need them: what blocks a text has, whether a block is a certificate.

Cryptography is loaded by the first check that parses something; declaring resources must not load it.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, CertificateSigningRequest

_BLOCK = re.compile(
    rb"(?:^|\n)-----BEGIN ([^\n]*?)-----[ \t\r]*\n(.*?)-----END \1-----[ \t\r]*(?=\n|\Z)", re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block of a PEM text."""

    kind: str
    headers: bool
    content: bytes


def blocks(text: bytes) -> list[Block]:
    """Return the blocks of a text; what is no block is passed over, as Go's reader does."""
    found = []
    for match in _BLOCK.finditer(text):
        head, empty, rest = match[2].partition(b"\n\n")
        headers = bool(empty) and b":" in head
        body = rest if headers else match[2]
        if not headers and b":" in body:
            continue
        try:
            content = base64.b64decode(b"".join(body.split()), validate=True)
        except (binascii.Error, ValueError):
            continue
        found.append(Block(kind=match[1].decode(errors="replace"), headers=headers, content=content))
    return found


def signing_request(data: object) -> bytes:
    """Return the PKCS#10 request (DER) that `spec.request` of a CertificateSigningRequest, in base64, is.

    It is the first block, whatever comes behind: what is judged must be what is signed. Raises ValueError.
    """
    found = blocks(decoded(data))
    if not found or found[0].kind != "CERTIFICATE REQUEST":
        raise ValueError("PEM block type must be CERTIFICATE REQUEST")
    return found[0].content


def certificate(content: bytes) -> Certificate | None:
    """Return the certificate that DER bytes are, None where they are none."""
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.load_der_x509_certificate(content)
    except ValueError:
        return None


def certificate_request(content: bytes) -> CertificateSigningRequest | None:
    """Return the PKCS#10 request that DER bytes are, None where they are none."""
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.load_der_x509_csr(content)
    except ValueError:
        return None


def decoded(data: object) -> bytes:
    """Return the bytes of a base64 field."""
    try:
        return base64.b64decode(str(data or ""))
    except (binascii.Error, ValueError):
        return b""


def pair_error(certificates: bytes, key: bytes) -> str:
    """Return why a chain of certificates and a key do not make a pair, in the words of Go's library; "" if
    they do."""
    skipped = []
    leaf = None
    for block in blocks(certificates):
        if block.kind == "CERTIFICATE":
            leaf = block
            break
        skipped.append(block.kind)
    if leaf is None:
        return _nothing_found(skipped)
    private = next((block for block in blocks(key) if _is_private(block.kind)), None)
    if private is None:
        others = [block.kind for block in blocks(key)]
        if not others:
            return "tls: failed to find any PEM data in key input"
        if others == ["CERTIFICATE"]:
            return "tls: found a certificate rather than a key in the PEM for the private key"
        return (
            'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM '
            f"blocks of the following types: [{' '.join(others)}]"
        )
    return _mismatch(leaf.content, private.content)


def _nothing_found(skipped: list[str]) -> str:
    if not skipped:
        return "tls: failed to find any PEM data in certificate input"
    if len(skipped) == 1 and skipped[0].endswith("PRIVATE KEY"):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM "
            "inputs may have been switched"
        )
    return (
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the '
        f"following types: [{' '.join(skipped)}]"
    )


def _is_private(kind: str) -> bool:
    return kind == "PRIVATE KEY" or kind.endswith(" PRIVATE KEY")


def _mismatch(leaf: bytes, private: bytes) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
        load_der_private_key,
    )

    parsed = certificate(leaf)
    if parsed is None:
        return "x509: malformed certificate"
    try:
        key = load_der_private_key(private, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    wanted, found = parsed.public_key(), key.public_key()
    if type(wanted) is not type(found):
        return "tls: private key type does not match public key type"
    if wanted.public_bytes(*form) != found.public_bytes(*form):
        return "tls: private key does not match public key"
    return ""
