"""Requests that differ from the one before in their target alone, which the parser need not see.

A client sends the same header fields with every read. Once the parser has taken a GET that came in one piece
and alone, another one on the same connection with the same bytes after its first line means the same but for
the target; only that line is looked at. Whatever is not exactly so goes to the parser.
"""

from __future__ import annotations

import re

from podium.base.http.message import Headers, Request

REST_BYTES_MAX = 2048
"""What is remembered costs memory for as long as the connection lives."""

_LINE = re.compile(rb"GET (/[A-Za-z0-9/?&=%._~:,+-]*) HTTP/1\.1\r\n")
"""Stricter than the parser: targets with anything else in them are its business."""


class Repeats:
    """What one connection remembers of its last plain GET."""

    __slots__ = ("_fields", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._fields: list[tuple[str, str]] = []

    def learn(self, data: bytes, request: Request) -> None:
        """Take note of a GET without a body that the parser made of all of `data`, and of nothing else."""
        line = _LINE.match(data)
        # One head and no more: else the parser skipped or added something that is not looked for here.
        if line is None or data.find(b"\r\n\r\n") != len(data) - 4 or len(data) - line.end() > REST_BYTES_MAX:
            self._rest = b""
        else:
            self._rest = data[line.end() :]
            self._fields = list(request.headers)

    def target(self, data: bytes) -> str:
        """Return the target of a GET that is otherwise as the one learnt; "" for anything else."""
        rest = self._rest
        if not rest or not data.endswith(rest):
            return ""
        line = _LINE.fullmatch(data, 0, len(data) - len(rest))
        return line[1].decode("ascii") if line is not None else ""

    def headers(self) -> Headers:
        """Return the header fields, in an object of their own."""
        return Headers.of_lower(self._fields.copy())
