"""Heads as bytes, and the framing of requests: the pure part of the HTTP server and client."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from podium.base.http import wire
from podium.base.http.message import Headers
from podium.base.http.wire import Framing


@pytest.mark.parametrize("second", [0, 951782400, 1735689599, 1735689600, 2**31])
def test_dates(second: int) -> None:
    assert wire.http_date(second) == formatdate(second, usegmt=True)


HOST = ("host", "a")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([HOST], Framing(length=0)),
        ([HOST, ("content-length", "5")], Framing(length=5)),
        ([HOST, ("transfer-encoding", "Chunked ")], Framing(length=None)),
        ([HOST, ("expect", "100-Continue"), ("content-length", "1")], Framing(length=1, expect=True)),
    ],
)
def test_clear_framing(fields: list[tuple[str, str]], expected: Framing) -> None:
    assert wire.framing("1.1", fields) == expected


@pytest.mark.parametrize(
    ("version", "fields", "error"),
    [
        ("1.1", [], "missing required Host header"),
        ("1.1", [HOST, HOST], "more than one host"),
        ("1.0", [HOST, HOST], "more than one host"),
        ("1.1", [HOST, ("content-length", "1"), ("content-length", "1")], "ambiguous content-length"),
        ("1.1", [HOST, ("content-length", "١")], "ambiguous content-length"),
        ("1.1", [HOST, ("content-length", "")], "ambiguous content-length"),
        (
            "1.1",
            [HOST, ("content-length", "1"), ("transfer-encoding", "chunked")],
            "both transfer-encoding and content-length",
        ),
        (
            "1.1",
            [HOST, ("transfer-encoding", "chunked"), ("content-length", "1")],
            "both transfer-encoding and content-length",
        ),
        ("1.1", [HOST, ("transfer-encoding", "chunked")] * 2, "more than one host"),
        ("1.1", [HOST, *[("transfer-encoding", "chunked")] * 2], "unsupported transfer-encoding"),
        ("1.1", [HOST, ("transfer-encoding", "gzip, chunked")], "unsupported transfer-encoding"),
        ("1.1", [HOST, ("transfer-encoding", "")], "unsupported transfer-encoding"),
        ("1.0", [HOST, ("transfer-encoding", "chunked")], "transfer-encoding needs HTTP/1.1"),
    ],
)
def test_ambiguous_framing(version: str, fields: list[tuple[str, str]], error: str) -> None:
    assert wire.framing(version, fields).error == error


def test_http_1_0_needs_no_host() -> None:
    assert wire.framing("1.0", []).error == ""


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        ("/a?b", "/a?b"),
        ("http://h/a?b", "/a?b"),
        ("HTTPS://h:1", "/"),
        ("*", "*"),
        ("a:1", ""),
        ("ftp://h/", ""),
        ("a/b", ""),
        ("", ""),
    ],
)
def test_targets(target: str, origin: str) -> None:
    assert wire.origin_target(target) == origin


def test_a_head_cannot_be_split() -> None:
    headers = Headers([("a", "1\r\n\r\nHTTP/1.1 200"), ("b\nc", "2\0"), ("d", "fine")])
    head = wire.response_head(200, headers, "")
    lines = head.split(b"\r\n")
    assert lines[:4] == [b"HTTP/1.1 200 OK", b"a: 1    HTTP/1.1 200", b"b c: 2 ", b"d: fine"]
    assert len(lines) == 7


def test_the_handlers_date_stands() -> None:
    head = wire.response_head(200, Headers([("Date", "then")]), "x: y\r\n")
    assert head == b"HTTP/1.1 200 OK\r\ndate: then\r\nx: y\r\n\r\n"


def test_an_unknown_status() -> None:
    assert wire.response_head(299, Headers([("date", "")]), "") == b"HTTP/1.1 299 Unknown\r\ndate: \r\n\r\n"
