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
