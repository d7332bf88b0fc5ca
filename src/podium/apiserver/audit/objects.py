"""Objects as an audit event holds them: JSON on one line, with or without managed fields. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from podium.machinery.codec import cbor, yaml
from podium.machinery.errors import Object

STATUS_FIELDS = ("status", "message", "reason", "details", "code")
_STATUS_HEAD = b'{"kind":"Status"'
_OBJECT_HEADS = (b'{"kind":"', b'{"apiVersion":"')


def encoded(obj: Object, *, omits_managed_fields: bool) -> bytes:
    """Return an object that others go on to change."""
    return orjson.dumps(_without_managed_fields(obj) if omits_managed_fields else obj)


def encoded_patch(raw: bytes, media_type: str) -> bytes:
    """Return a patch as it was sent, as far as that is JSON; what is none becomes JSON, or else a string."""
    if b"\n" not in raw and _is_json(raw):
        return raw
    try:
        if media_type.endswith("+cbor"):
            return orjson.dumps(cbor.decode(raw))
        return orjson.dumps(yaml.decode(raw) if media_type.endswith("+yaml") else orjson.loads(raw))
    except (ValueError, TypeError):
        return orjson.dumps(raw.decode(errors="replace"))


def answered(body: bytes | Sequence[bytes], *, omits_managed_fields: bool) -> bytes:
    """Return an answer's JSON as an event holds it."""
    raw = body if isinstance(body, bytes) else b"".join(body)
    if not raw.startswith(b"{"):
        return b""
    if not omits_managed_fields and b"\n" not in raw:
        return raw
    value = orjson.loads(raw)
    return orjson.dumps(_without_managed_fields(value) if omits_managed_fields else value)


def is_object(body: bytes | Sequence[bytes]) -> bool:
    """Whether JSON is an object of the API: of a path that is no resource's, only some is."""
    return _first(body).startswith(_OBJECT_HEADS)


def status_in(body: bytes | Sequence[bytes]) -> Object | None:
    """Return what an event says of an answer that is a Status; None for any other answer."""
    first = _first(body)
    if not first.startswith(_STATUS_HEAD):
        return None
    status = orjson.loads(first if isinstance(body, bytes) else b"".join(body))
    return {"metadata": {}, **{name: status[name] for name in STATUS_FIELDS if name in status}}


def _first(body: bytes | Sequence[bytes]) -> bytes:
    return body if isinstance(body, bytes) else body[0] if body else b""


def _is_json(raw: bytes) -> bool:
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    return True


def _without_managed_fields(obj: Any) -> Any:
    """Return an object, a list or a Table whose metadata has none; what is shared stays as it is."""
    if not isinstance(obj, dict):
        return obj
    made = dict(obj)
    metadata = made.get("metadata")
    if isinstance(metadata, dict) and "managedFields" in metadata:
        made["metadata"] = {key: value for key, value in metadata.items() if key != "managedFields"}
    if isinstance(made.get("items"), list):
        made["items"] = [_without_managed_fields(item) for item in made["items"]]
    if made.get("kind") == "Table":
        made["rows"] = [
            {**row, "object": _without_managed_fields(row.get("object"))} if "object" in row else row
            for row in made.get("rows") or ()
        ]
    return made
