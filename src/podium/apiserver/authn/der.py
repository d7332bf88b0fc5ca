"""As much DER as it takes to read the subject of a certificate or of a certificate request.

By hand, because `cryptography` costs a process some 20 MB and 60 ms that nothing else on the API server's hot
path needs; nothing here verifies anything.
"""

from __future__ import annotations

from collections.abc import Iterator

COMMON_NAME = bytes.fromhex("550403")
ORGANIZATION = bytes.fromhex("55040a")
# Upstream's own attribute for a user's uid: 1.3.6.1.4.1.57683.2
USER_UID = bytes.fromhex("2b0601040183c25302")

_SET, _OID = 0x31, 0x06
_STRINGS = {
    0x0C: "utf-8",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (tag, content) of the elements that follow each other in `data`.

    Raises ValueError or IndexError where `data` is not DER.
    """
    position = 0
    while position < len(data):
        tag, length = data[position], data[position + 1]
        position += 2
        if length & 0x80:
            size = length & 0x7F
            if not 0 < size <= 4:
                raise ValueError("length")
            length = int.from_bytes(data[position : position + size], "big")
            position += size
        if position + length > len(data):
            raise ValueError("truncated")
        yield tag, data[position : position + length]
        position += length


def attributes_of(name: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield (OID, value) of each attribute of an X.501 name, in order."""
    for set_tag, relative_name in elements(name):
        if set_tag != _SET:
            raise ValueError("not a name")
        for _, attribute in elements(relative_name):
            (oid_tag, oid), (value_tag, value) = elements(attribute)
            if oid_tag == _OID and value_tag in _STRINGS:
                yield oid, value.decode(_STRINGS[value_tag])
