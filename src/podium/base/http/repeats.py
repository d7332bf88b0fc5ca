"""Requests that differ from one before in target and body alone, whose head the parser need not see.

A client sends the same header fields with every read, and with every write but for the length of its body.
Once the parser has taken a request that came in one piece and alone, another one on the same connection with
the same bytes after its first line means the same but for the target and the body; only they are looked at.
Whatever is not exactly so goes to the parser.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from podium.base.http.message import Headers, Request

REST_BYTES_MAX = 2048
"""What is remembered costs memory for as long as the connection lives."""

_TARGET = rb"(/[A-Za-z0-9/?&=%._~:,+-]*) HTTP/1\.1\r\n"
"""Stricter than the parser: targets with anything else in them are its business."""
_READ = re.compile(rb"GET " + _TARGET)
_WRITE = re.compile(rb"(POST|PUT|PATCH) " + _TARGET)
_LENGTH = re.compile(rb"\r\ncontent-length: ([1-9][0-9]{0,6})\r\n", re.IGNORECASE)
_END = b"\r\n\r\n"


class Written(NamedTuple):
    """A request with a body."""

    method: str
    target: str
    headers: Headers
    body: bytes


class _Head(NamedTuple):
    """The head of a write that was learnt."""

    like: re.Pattern[bytes]
    """Matches such a head, whatever its target and the length of its body."""
    fields: list[tuple[str, str]]
    place: int
    """Which of the fields is the length."""


@lru_cache(maxsize=64)
def _heads(before: bytes, after: bytes) -> re.Pattern[bytes]:
    """Return what matches a head that has these bytes around its body's length. A program's connections all
    send the same."""
    return re.compile(_WRITE.pattern + re.escape(before) + rb"([1-9][0-9]{0,6})" + re.escape(after))


class Repeats:
    """What one connection remembers of its last plain GET, and of its last plain write."""

    __slots__ = ("_fields", "_head", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._fields: list[tuple[str, str]] = []
        self._head: _Head | None = None

    def learn(self, data: bytes, request: Request) -> None:
        """Take note of a GET without a body that the parser made of all of `data`, and of nothing else."""
        line = _READ.match(data)
        # One head and no more: else the parser skipped or added something that is not looked for here.
        if line is None or data.find(_END) != len(data) - 4 or len(data) - line.end() > REST_BYTES_MAX:
            self._rest = b""
        else:
            self._rest = data[line.end() :]
            self._fields = list(request.headers)

    def learn_write(self, data: bytes, request: Request, length: int) -> None:
        """As `learn`, of a request with a body of `length` bytes."""
        self._head = None
        line, end = _WRITE.match(data), data.find(_END) + 4
        if line is None or end != len(data) - length or end - line.end() > REST_BYTES_MAX:
            return
        start = line.end() - 2
        said = _LENGTH.search(data, start, end)
        names = [name for name, _ in request.headers]
        if said is None or int(said[1]) != length or names.count("content-length") != 1:
            return
        like = _heads(data[line.end() : said.start(1)], data[said.end(1) : end])
        self._head = _Head(like, list(request.headers), names.index("content-length"))

    def target(self, data: bytes) -> str:
        """Return the target of a GET that is otherwise as the one learnt; "" for anything else."""
        rest = self._rest
        if not rest or not data.endswith(rest):
            return ""
        line = _READ.fullmatch(data, 0, len(data) - len(rest))
        return line[1].decode("ascii") if line is not None else ""

    def headers(self) -> Headers:
        """Return the header fields of such a GET, in an object of their own."""
        return Headers.of_lower(self._fields.copy())

    def written(self, data: bytes) -> Written | None:
        """Return the write that `data` is from beginning to end, where its head is as the one learnt."""
        head = self._head
        found = head.like.match(data) if head is not None else None
        if head is None or found is None:
            return None
        method, target, length = found.groups()
        body = data[found.end() :]
        if int(length) != len(body):
            return None
        fields = head.fields.copy()
        fields[head.place] = ("content-length", length.decode("ascii"))
        return Written(method.decode("ascii"), target.decode("ascii"), Headers.of_lower(fields), body)
