"""Protobuf's outermost grammar: tags, variable-length integers, and the fields of a message."""

from __future__ import annotations

from collections.abc import Iterator

VARINT = 0
DOUBLE = 1
LENGTH_DELIMITED = 2
_FIXED32 = 5
_VARINT_BYTES_MAX = 10


class Malformed(ValueError):
    """Bytes that are no message of the expected kind."""


ENDS_EARLY = "unexpected EOF"
"""Upstream's words for a message that ends within one of its parts."""


def varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """Return the integer at `position` and where it ends. Raises Malformed."""
    value = shift = 0
    for index in range(position, min(end, position + _VARINT_BYTES_MAX)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, index + 1
        shift += 7
    raise Malformed(ENDS_EARLY)


def fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (number, wire type, value) of each field: integers as they are, anything else as bytes.

    Raises Malformed.
    """
    while position < end:
        key, position = varint(data, position, end)
        number, wire = key >> 3, key & 7
        if not number:
            raise Malformed("a field has the number 0")
        if wire == VARINT:
            value, position = varint(data, position, end)
            yield number, wire, value
            continue
        if wire == LENGTH_DELIMITED:
            length, position = varint(data, position, end)
        elif wire == DOUBLE:
            length = 8
        elif wire == _FIXED32:
            length = 4
        else:
            raise Malformed(f"field {number} has wire type {wire}")
        if length > end - position:
            raise Malformed(ENDS_EARLY)
        yield number, wire, data[position : position + length]
        position += length


def tag(number: int, wire: int) -> bytes:
    """Return a field's key."""
    key = number << 3 | wire
    if key < 0x80:
        return bytes([key])
    return bytes([key & 0x7F | 0x80, key >> 7])


def zigzag_free(value: int) -> int:
    """Return a 64-bit two's complement as the signed integer it stands for (int32 and int64, not sint)."""
    return value - (1 << 64) if value >> 63 else value


def delimited(number: int, body: bytes) -> bytes:
    """Return a field of bytes, text or a message."""
    return tag(number, LENGTH_DELIMITED) + varint_bytes(len(body)) + body


def varint_bytes(value: int) -> bytes:
    """Return an integer as it is written, negative ones in 64 bits."""
    if 0 <= value < 0x80:
        return _SMALL[value]
    if value < 0:
        value += 1 << 64
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [bytes([number]) for number in range(0x80)]
