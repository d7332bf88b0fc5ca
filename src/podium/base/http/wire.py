"""HTTP/1.1 heads as bytes, and the checks of framing that the parser leaves to us. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain

import orjson

from podium.base.http.message import BAD_ESCAPE, Headers

CHUNK_END = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}

# What would end a header field early if it stood inside a value: response splitting.
_UNSAFE = {ord("\r"): " ", ord("\n"): " ", 0: " "}


class _DateCache:
    """The Date header's value, formatted once for each second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def text(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = http_date(second)
        return self._text


_date = _DateCache()

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(second: int) -> str:
    """Return a moment in the form of RFC 9110, whatever the locale."""
    t = time.gmtime(second)
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04} {clock} GMT"


def status_line(status: int) -> str:
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n"


def fields(headers: Headers | Sequence[tuple[str, str]]) -> str:
    """Return header lines; a control character that would split them becomes a space."""
    return _lines(tuple(chain.from_iterable(headers)))


def _lines(flat: tuple[str, ...]) -> str:
    """As `fields`, from names and values in turn."""
    count = len(flat) // 2
    template = "%s: %s\r\n" * count
    text = template % flat
    if text.count("\n") != count or text.count("\r") != count or "\0" in text:
        text = template % tuple(part.translate(_UNSAFE) for part in flat)
    return text


def response_head(status: int, headers: Headers, framing: str) -> bytes:
    """Return the head of a response; `framing` is the lines that say how its body ends."""
    date = "" if "date" in headers else f"date: {_date.text()}\r\n"
    return f"{status_line(status)}{fields(headers)}{date}{framing}\r\n".encode("latin-1", "replace")


_FRAMING = frozenset({"connection", "content-length", "date", "transfer-encoding"})
"""What the server says itself, unless a handler has reasons to."""


def plain_head(status: int, headers: Headers, size_bytes: int) -> bytes:
    """As `response_head`, for a body of known length; b"" where a handler says some of `_FRAMING` itself."""
    flat = tuple(chain.from_iterable(headers))
    if not _FRAMING.isdisjoint(flat[::2]):
        return b""
    return (
        f"{status_line(status)}{_lines(flat)}date: {_date.text()}\r\ncontent-length: {size_bytes}\r\n\r\n"
    ).encode("latin-1", "replace")


def request_head(method: str, target: str, headers: Headers | Sequence[tuple[str, str]]) -> bytes:
    """Return the head of a request. Raises ValueError when the target would split it."""
    if not target or any(c <= " " or c == "\x7f" for c in target):
        raise ValueError(f"not a request target: {target!r}")
    return f"{method} {target} HTTP/1.1\r\n{fields(headers)}\r\n".encode("latin-1", "replace")


@dataclass(slots=True)
class Framing:
    """What a request's head says of its body."""

    error: str = ""
    """Why the framing or the address is ambiguous, or not for this server; "" when it is neither."""
    status: int = 400
    """The status of the error."""
    length: int | None = 0
    """The body's length; None when it is chunked."""
    expect: bool = False
    """The peer waits for `100 Continue` before it sends the body."""


_VERSIONS = ("1.1", "1.0")


def framing(version: str, fields: Sequence[tuple[str, str]]) -> Framing:
    """Return the framing of a request from its header fields, whose names are in lower case.

    The parser refuses most of what is ambiguous (bare LF, both lengths, repeated lengths); this also refuses
    what it lets pass.
    """
    hosts = lengths = codings = 0
    found = Framing()
    for name, value in fields:
        if name == "host":
            hosts += 1
        elif name == "content-length":
            lengths += 1
            found.length = int(value) if value.isascii() and value.isdigit() else -1
        elif name == "transfer-encoding":
            codings += 1
            if value.strip().lower() != "chunked":
                found.error = "unsupported transfer-encoding"
        elif name == "expect":
            found.expect = version == "1.1" and value.lower() == "100-continue"
            if value.lower() != "100-continue":
                found.error, found.status = "unknown expectation", 417
    if codings:
        if lengths:
            found.error = "both transfer-encoding and content-length"
        elif codings > 1:
            found.error = "unsupported transfer-encoding"
        elif version != "1.1":
            found.error = "transfer-encoding needs HTTP/1.1"
        found.length = None
    if version not in _VERSIONS:
        found.error = "unsupported protocol version"
        found.status = 400 if version.startswith("0") else 505
    elif lengths > 1 or found.length == -1:
        found.error = "ambiguous content-length"
    elif hosts > 1:
        found.error = "more than one host"
    elif not hosts and version == "1.1":
        found.error = "missing required Host header"
    return found


def origin_target(target: str) -> str:
    """Return the path and query of a request target in origin or absolute form; "" for any other.

    A path with a `%` that two hexadecimal digits do not follow is none.
    """
    if "%" in target and BAD_ESCAPE.search(target.partition("?")[0]):
        return ""
    if target.startswith("/"):
        return target
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        slash = rest.find("/")
        return rest[slash:] if slash >= 0 else "/"
    return target if target == "*" else ""


def status_body(code: int, reason: str, message: str) -> bytes:
    """Return a `Status` object that says what went wrong, as JSON."""
    return orjson.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }
    )
