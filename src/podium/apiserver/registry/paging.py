"""Continue tokens: where a list goes on, and at which revision. Upstream's format, so that tokens are opaque
in the same way everywhere."""

from __future__ import annotations

import base64
import binascii
import posixpath
from dataclasses import dataclass

import orjson

from podium.machinery.errors import BadRequest

_VERSION = "meta.k8s.io/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    revision: int
    start_after: str
    """The key below the resource's root after which the list goes on; relative to the token's prefix once
    decoded."""


def encode(token: Token, prefix: str) -> str:
    """Return the token's text; keys in it are relative to `prefix`, the namespace of the list."""
    # Upstream starts at the key after: the last one returned and a zero byte.
    start = token.start_after.removeprefix(prefix) + "\0"
    body = orjson.dumps({"v": _VERSION, "rv": token.revision, "start": start})
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode(text: str, prefix: str = "") -> Token:
    """Return what a client sent back. Raises `BadRequest`."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise _bad(str(error)) from None
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        first = raw.decode("utf-8", "replace")[:1]
        raise _bad(
            f"invalid character {_go_rune(raw)} looking for beginning of value"
            if first
            else "unexpected end of JSON input"
        ) from None
    if not isinstance(body, dict) or body.get("v") != _VERSION:
        raise _bad("server does not recognize this encoded version")
    revision, start = body.get("rv"), body.get("start")
    if not isinstance(revision, int) or not isinstance(start, str) or not start:
        raise (
            _bad("start key is not valid")
            if isinstance(revision, int)
            else _bad("incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
        )
    # A key that climbs out of the list's prefix would show what the client may not see.
    if posixpath.normpath("/" + start.rstrip("\0")) != "/" + start.rstrip("\0"):
        raise _bad(start)
    return Token(revision=revision, start_after=prefix + start.removesuffix("\0"))


def _bad(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: continue key is not valid: {why}")


def _go_rune(raw: bytes) -> str:
    """Return the first byte as Go's %q of a rune, which is how its JSON decoder names it."""
    code = raw[0]
    char = chr(code)
    if char.isprintable():
        return f"'{char}'"
    return f"'\\x{code:02x}'" if code < 0x80 else f"'\\u{code:04x}'"
