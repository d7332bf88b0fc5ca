"""What a connection remembers of its last GET, and of its last write."""

from __future__ import annotations

import pytest

from podium.base.http.message import Headers, Request
from podium.base.http.repeats import REST_BYTES_MAX, Repeats

HEAD = b"Host: a\r\nAccept: */*\r\n\r\n"


def learnt(data: bytes = b"GET /first HTTP/1.1\r\n" + HEAD) -> Repeats:
    repeats = Repeats()
    fields = Headers([("host", "a"), ("accept", "*/*")])
    repeats.learn(data, Request(method="GET", target="/first", headers=fields))
    return repeats


def test_only_the_target_is_looked_at() -> None:
    repeats = learnt()
    assert repeats.target(b"GET /second?x=%20y HTTP/1.1\r\n" + HEAD) == "/second?x=%20y"
    assert list(repeats.headers()) == [("host", "a"), ("accept", "*/*")]


def test_header_fields_are_given_out_as_copies() -> None:
    repeats = learnt()
    repeats.headers().remove("host")
    assert "host" in repeats.headers()


@pytest.mark.parametrize(
    "data",
    [
        b"POST /x HTTP/1.1\r\n" + HEAD,
        b"GET /x HTTP/1.0\r\n" + HEAD,
        b"GET  /x HTTP/1.1\r\n" + HEAD,
        b"GET x HTTP/1.1\r\n" + HEAD,
        b"GET http://a/x HTTP/1.1\r\n" + HEAD,
        b"GET /x\x00 HTTP/1.1\r\n" + HEAD,
        b"GET /x HTTP/1.1\n" + HEAD,
        b"GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HEAD,
        b"GET /x HTTP/1.1\r\n" + HEAD + b"GET /y HTTP/1.1\r\n" + HEAD,
        b"GET /x HTTP/1.1\r\n" + HEAD[:-1],
        b"GET /x HTTP/1.1\r\nHost: b\r\nAccept: */*\r\n\r\n",
        HEAD,
        b"",
    ],
)
def test_anything_else_goes_to_the_parser(data: bytes) -> None:
    assert learnt().target(data) == ""


@pytest.mark.parametrize(
    "data",
    [
        b"\r\nGET /first HTTP/1.1\r\n" + HEAD,
        b"GET /first HTTP/1.1\r\n" + HEAD + b"\r\n",
        b"GET /first HTTP/1.1\r\nX: " + b"x" * REST_BYTES_MAX + b"\r\n" + HEAD,
    ],
)
def test_what_is_odd_or_long_is_not_learnt(data: bytes) -> None:
    repeats = learnt(data)
    assert repeats.target(b"GET /x HTTP/1.1\r\n" + data.partition(b"\r\n")[2]) == ""


WRITTEN = b"Host: a\r\nContent-Length: %d\r\nAccept: */*\r\n\r\n"


def learnt_write(data: bytes = b"POST /first HTTP/1.1\r\n" + WRITTEN % 2 + b"{}", length: int = 2) -> Repeats:
    repeats = Repeats()
    fields = Headers([("host", "a"), ("content-length", str(length)), ("accept", "*/*")])
    repeats.learn_write(data, Request(method="POST", target="/first", headers=fields), length)
    return repeats


def test_of_a_write_target_body_and_its_length_are_looked_at() -> None:
    written = learnt_write().written(b"PUT /second HTTP/1.1\r\n" + WRITTEN % 12 + b"twelve bytes")
    assert written is not None
    assert (written.method, written.target, written.body) == ("PUT", "/second", b"twelve bytes")
    assert list(written.headers) == [("host", "a"), ("content-length", "12"), ("accept", "*/*")]


@pytest.mark.parametrize(
    "data",
    [
        b"POST /x HTTP/1.1\r\n" + WRITTEN % 2 + b"{",
        b"POST /x HTTP/1.1\r\n" + WRITTEN % 2 + b"{}{",
        b"POST /x HTTP/1.1\r\n" + WRITTEN % 2,
        b"POST /x HTTP/1.1\r\n" + WRITTEN % 0,
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 02\r\nAccept: */*\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\nAccept: */*\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nAccept: b\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\nAccept: */*\r\n\r\n{}",
        b"POST /x HTTP/1.0\r\n" + WRITTEN % 2 + b"{}",
        b"DELETE /x HTTP/1.1\r\n" + WRITTEN % 2 + b"{}",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ",
        b"",
    ],
)
def test_any_other_write_goes_to_the_parser(data: bytes) -> None:
    assert learnt_write().written(data) is None


@pytest.mark.parametrize(
    ("data", "length"),
    [
        (b"POST /first HTTP/1.1\r\n" + WRITTEN % 2 + b"{}", 3),
        (b"POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}", 2),
        (b"POST /first HTTP/1.1\r\nX: " + b"x" * REST_BYTES_MAX + b"\r\n" + WRITTEN % 2 + b"{}", 2),
        (b"\r\nPOST /first HTTP/1.1\r\n" + WRITTEN % 2 + b"{}", 2),
    ],
)
def test_a_write_that_is_odd_or_long_is_not_learnt(data: bytes, length: int) -> None:
    assert learnt_write(data, length).written(b"POST /first HTTP/1.1\r\n" + WRITTEN % 2 + b"{}") is None
