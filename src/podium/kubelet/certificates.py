"""The subject of a client certificate, read from its DER by hand: the rest of it TLS has verified."""

from __future__ import annotations

from dataclasses import dataclass

OID_COMMON_NAME = bytes.fromhex("550403")
OID_ORGANIZATION = bytes.fromhex("55040a")
EXPLICIT_0 = 0xA0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    common_name: str = ""
    organizations: tuple[str, ...] = ()


def subject_of(der: bytes) -> Subject:
    """Return the subject of an X.509 certificate. Raises ValueError when it is none.

    Certificate > TBSCertificate > [0] version, serial, signature, issuer, validity, subject.
    """
    try:
        certificate = _children(_one(der)[1])
        fields = _children(certificate[0][1])
        offset = 1 if fields[0][0] == EXPLICIT_0 else 0
        subject = fields[offset + 4]
        common_name, organizations = "", []
        for _, names in _children(subject[1]):
            for _, pair in _children(names):
                kind, value = _children(pair)
                if kind[1] == OID_COMMON_NAME:
                    common_name = value[1].decode()
                elif kind[1] == OID_ORGANIZATION:
                    organizations.append(value[1].decode())
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("not a certificate") from error
    return Subject(common_name=common_name, organizations=tuple(organizations))


def _one(data: bytes) -> tuple[int, bytes, bytes]:
    """Return (tag, content, rest) of the first element."""
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[2 : 2 + count]), 2 + count
    if start + length > len(data):
        raise IndexError("truncated")
    return tag, data[start : start + length], data[start + length :]


def _children(content: bytes) -> list[tuple[int, bytes]]:
    found = []
    while content:
        tag, inner, content = _one(content)
        found.append((tag, inner))
    return found
