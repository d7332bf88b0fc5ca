"""CBOR (RFC 8949) as upstream speaks it: values of JSON, texts as byte strings, a magic number in front.

What is written is deterministic: the shortest form of each number, keys in the order of their bytes. What is
read may be of any form that means a value of JSON: text or byte strings, indefinite lengths, tags. Refused
are duplicate keys, numbers beyond 64 bits, infinities, and values that JSON lacks.
Upstream: apimachinery/pkg/runtime/serializer/cbor/internal/modes.

Nothing recurses, so that how deep a body nests costs no stack.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

from podium.machinery.depth import DEPTH_MAX
from podium.machinery.errors import Json

MAGIC = b"\xd9\xd9\xf7"
"""The head of tag 55799, which stands before every item that is written."""
NESTING_MAX = DEPTH_MAX
"""Upstream stops at 10,000. What nests deeper than this cannot be stored, which is done as JSON."""

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE = 31
_INT64_MAX = 2**63 - 1


class CborError(ValueError):
    """The bytes are no CBOR, or mean no value of JSON."""


# --- writing


def encode(value: Json) -> bytes:
    """Return `value` with the magic number in front. Raises `CborError` for what JSON cannot say either."""
    out = [MAGIC]
    _write(value, out)
    return b"".join(out)


def embed(value: dict[str, Json], key: str, item: bytes) -> bytes:
    """Return the map `value` with one more entry whose value is encoded already."""
    out = [MAGIC]
    entries = [(_string(name), _encoded(part)) for name, part in value.items()]
    entries.append((_string(key), item))
    _write_map(sorted(entries), out)
    return b"".join(out)


def _encoded(value: Json) -> bytes:
    out: list[bytes] = []
    _write(value, out)
    return b"".join(out)


def _write(value: Json, out: list[bytes]) -> None:
    """Append the bytes of a value. What waits is kept on a stack: values, and bytes that are done."""
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        kind = item.__class__
        if kind is str:
            out.append(_string(item))
        elif kind is _Done:
            out.append(item.data)
        elif kind is dict:
            out.append(_head(_MAP, len(item)))
            for key, part in sorted(
                ((_string(key), part) for key, part in item.items()), key=itemgetter(0), reverse=True
            ):
                waiting += (part, _Done(key))
        elif kind is list:
            out.append(_head(_ARRAY, len(item)))
            waiting.extend(reversed(item))
        else:
            out.append(_scalar(item))


class _Done:
    """Bytes among values that wait to be written."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


def _write_map(entries: list[tuple[bytes, bytes]], out: list[bytes]) -> None:
    out.append(_head(_MAP, len(entries)))
    for key, part in entries:
        out += (key, part)


def _scalar(value: Json) -> bytes:
    if value is None:
        return b"\xf6"
    if value is True:
        return b"\xf5"
    if value is False:
        return b"\xf4"
    if isinstance(value, int):
        if not -_INT64_MAX - 1 <= value <= _INT64_MAX:
            raise CborError(f"the number {value} has more than 64 bits")
        return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
    if isinstance(value, float):
        return _float(value)
    raise CborError(f"no form for a {type(value).__name__}")


def _string(text: str) -> bytes:
    raw = text.encode()
    return _head(_BYTES, len(raw)) + raw


def _head(major: int, argument: int) -> bytes:
    kind = major << 5
    if argument < 24:
        return bytes((kind | argument,))
    if argument < 1 << 8:
        return bytes((kind | 24, argument))
    if argument < 1 << 16:
        return struct.pack(">BH", kind | 25, argument)
    if argument < 1 << 32:
        return struct.pack(">BI", kind | 26, argument)
    return struct.pack(">BQ", kind | 27, argument)


def _float(value: float) -> bytes:
    if not math.isfinite(value):
        raise CborError("a number that is none, or infinite")
    for head, form in ((b"\xf9", ">e"), (b"\xfa", ">f")):
        try:
            packed = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == value:
            return head + packed
    return b"\xfb" + struct.pack(">d", value)


# --- reading


def decode(data: bytes) -> Json:
    """Return the one value in `data`. Raises `CborError`."""
    reader = _Reader(data)
    value = reader.value()
    if reader.position != len(data):
        left = len(data) - reader.position
        raise CborError(f"{left} bytes of extraneous data starting at index {reader.position}")
    return value


class _Frame:
    """A container that is being read."""

    __slots__ = ("key", "left", "tag", "value")

    def __init__(self, value: Any, left: int, tag: int = -1) -> None:
        self.value = value
        self.left = left
        """How many items are to come; below zero until a break ends it."""
        self.tag = tag
        """The number of a tag, which is a container of one."""
        self.key: str | None = None
        """The key of a map whose value is to come."""


_BREAK = object()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def value(self) -> Json:
        frames: list[_Frame] = []
        while True:
            item = self._item()
            if isinstance(item, _Frame):
                if item.left:
                    if len(frames) >= NESTING_MAX:
                        raise CborError(f"exceeded max nested level {NESTING_MAX}")
                    frames.append(item)
                    continue
                item = item.value
            while frames:
                frame = frames[-1]
                if item is _BREAK:
                    if frame.left > 0 or frame.key is not None or frame.tag >= 0:
                        raise CborError('unexpected "break" code')
                    item = frames.pop().value
                    continue
                self._put(frame, item)
                if frame.left:
                    break
                frames.pop()
                item = frame.value
            else:
                if item is _BREAK:
                    raise CborError('unexpected "break" code')
                return _plain(item)

    def _put(self, frame: _Frame, item: Any) -> None:
        if frame.tag >= 0:
            frame.value = _tagged(frame.tag, item)
            frame.left = 0
        elif isinstance(frame.value, list):
            frame.value.append(_plain(item))
            frame.left -= 1
        elif frame.key is None:
            key = _plain(item)
            if not isinstance(key, str):
                raise CborError("the key of a map is no string")
            if key in frame.value:
                raise CborError(f'found duplicate map key "{key}"')
            frame.key = key
            frame.value[key] = None
        else:
            frame.value[frame.key] = _plain(item)
            frame.key = None
            frame.left -= 1

    def _item(self) -> Any:
        """Read one item's head, and what belongs to it: a value, a frame to be filled, or a break."""
        start = self.position
        initial = self._take(1)[0]
        major, short = initial >> 5, initial & 31
        if initial == 0xFF:
            return _BREAK
        if short == _INDEFINITE:
            return self._indefinite(major)
        argument = self._argument(short)
        match major:
            case 0:
                return _int64(argument)
            case 1:
                return _int64(-1 - argument)
            case 2:
                return _Bytes(self._take(argument))
            case 3:
                return _text(self._take(argument))
            case 4:
                self._affordable(argument)
                return _Frame([], argument)
            case 5:
                self._affordable(2 * argument)
                return _Frame({}, argument)
            case 6:
                return _Frame(None, 1, tag=argument)
        return self._simple(short, start)

    def _affordable(self, items: int) -> None:
        """No container can have more items than there are bytes left."""
        if items > len(self._data) - self.position:
            raise CborError("unexpected EOF")

    def _argument(self, short: int) -> int:
        if short < 24:
            return short
        if short > 27:
            raise CborError(f"invalid additional information {short}")
        return int.from_bytes(self._take(1 << (short - 24)), "big")

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise CborError("unexpected EOF")
        found = self._data[self.position : end]
        self.position = end
        return found

    def _simple(self, short: int, start: int) -> Json:
        raw = self._data[start + 1 : self.position]
        match short:
            case 20:
                return False
            case 21:
                return True
            case 22:
                return None
            case 25 | 26 | 27:
                value: float = struct.unpack({25: ">e", 26: ">f", 27: ">d"}[short], raw)[0]
                if not math.isfinite(value):
                    raise CborError("floating-point NaN or infinity")
                return value
        number = raw[0] if raw else short
        raise CborError(f"simple value {number} is not recognized")

    def _indefinite(self, major: int) -> Any:
        if major == _ARRAY:
            return _Frame([], -1)
        if major == _MAP:
            return _Frame({}, -1)
        if major not in (_BYTES, _TEXT):
            raise CborError("invalid indefinite length")
        chunks = []
        while (initial := self._take(1)[0]) != 0xFF:
            if initial >> 5 != major or initial & 31 == _INDEFINITE:
                raise CborError("wrong element in a string of indefinite length")
            chunks.append(self._take(self._argument(initial & 31)))
        if major == _BYTES:
            return _Bytes(b"".join(chunks))
        return "".join(_text(chunk) for chunk in chunks)


class _Bytes:
    """A byte string before anybody has said how its text is to be made."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


def _plain(item: Any) -> Any:
    return _text(item.raw) if isinstance(item, _Bytes) else item


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise CborError("invalid UTF-8 string") from None


def _int64(number: int) -> int:
    if not -_INT64_MAX - 1 <= number <= _INT64_MAX:
        raise CborError(f"cannot unmarshal {number}: it overflows Go's int64")
    return number


_LATER_ENCODINGS: dict[int, Callable[[bytes], str]] = {
    21: lambda raw: base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
    22: lambda raw: base64.b64encode(raw).decode(),
    23: lambda raw: raw.hex(),
}
_TEXT_TIME, _NUMBER_TIME = 0, 1
_BIG = (2, 3)


def _tagged(tag: int, item: Any) -> Any:
    """Return what a tag makes of its content; most make nothing of it."""
    if isinstance(item, _Bytes) and tag in _LATER_ENCODINGS:
        return _LATER_ENCODINGS[tag](item.raw)
    if tag in _BIG:
        raise CborError("numbers of any size are not taken")
    if tag == _TEXT_TIME and not isinstance(item, str | _Bytes):
        raise CborError("tag 0 is for times as text")
    if tag == _NUMBER_TIME:
        return _time(item)
    return item


def _time(item: Any) -> str:
    if isinstance(item, bool) or not isinstance(item, int | float):
        raise CborError("tag 1 is for times as numbers")
    try:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=item)
    except OverflowError:
        raise CborError("a time beyond all calendars") from None
    text = at.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"
