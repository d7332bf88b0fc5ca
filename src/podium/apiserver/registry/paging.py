"""Continue tokens: where a list goes on, and at which revision. Upstream's format, so that tokens are opaque
in the same way everywhere."""

from __future__ import annotations

import base64
import posixpath
import re
from dataclasses import dataclass

import orjson

from podium.machinery import golang
from podium.machinery.codec import json
from podium.machinery.errors import BadRequest, Json, Object

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
    start = "/" + token.start_after.removeprefix(prefix) + "\0"
    body = orjson.dumps({"v": _VERSION, "rv": token.revision, "start": start})
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()


def decode(text: str, prefix: str = "") -> Token:
    """Return what a client sent back. Raises `BadRequest`."""
    body = _body(text)
    if body.get("v") != _VERSION:
        raise _bad(f"server does not recognize this encoded version {body.get('v') or ''}")
    revision, start = body.get("rv") or 0, body.get("start") or ""
    if not revision:
        raise _bad(f"incorrect encoded start resourceVersion (version {_VERSION})")
    if not start:
        raise _bad(f"encoded start key empty (version {_VERSION})")
    # A key that climbs out of the list's prefix would show what the client may not see.
    key = start.removeprefix("/").rstrip("\0")
    if key.startswith("/") or posixpath.normpath("/" + key) != "/" + key:
        raise _bad(start)
    return Token(revision=revision, start_after=prefix + start.removeprefix("/").removesuffix("\0"))


def _body(text: str) -> Object:
    """Return the object in a token, with fields of the right types."""
    fault = _NOT_BASE64.search(text)
    if fault is not None or len(text) % 4 == 1:
        at = fault.start() if fault is not None else len(text) - 1
        raise _bad(f"illegal base64 data at input byte {at}")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if raw[:1] > b"\x7f":
        # Go takes each byte for a character of its own.
        raise _bad(f"invalid character '{_go_rune(raw[0])}' looking for beginning of value")
    try:
        body = json.decode(raw)
    except json.JsonError as error:
        raise _bad(str(error)) from None
    if not isinstance(body, dict):
        raise _unfit(body, "Go value", "storage.continueToken")
    for name, wanted in _FIELDS.items():
        value = body.get(name)
        is_fit = value is None or type(value) is wanted
        if not is_fit or (wanted is int and abs(value or 0) >= 2**63):
            field = f"Go struct field continueToken.{name}"
            raise _unfit(value, field, "int64" if wanted is int else "string")
    return body


def _go_rune(code: int) -> str:
    return chr(code) if chr(code).isprintable() else f"\\u{code:04x}"


_NOT_BASE64 = re.compile(r"[^A-Za-z0-9_-]")
_FIELDS: dict[str, type] = {"v": str, "rv": int, "start": str}


def _unfit(value: Json, where: str, go_type: str) -> BadRequest:
    found = golang.found_kind(value)
    shown = f"{found} {value}" if found == "number" else found
    return _bad(f"json: cannot unmarshal {shown} into {where} of type {go_type}")


def _bad(why: str) -> BadRequest:
    return BadRequest(f"invalid continue token: continue key is not valid: {why}")
