"""One audit event: audit.k8s.io/v1, Kind=Event, encoded once, and its one-line form of old."""

from __future__ import annotations

from typing import Any

import orjson

from podium.machinery.errors import Object

API_VERSION = "audit.k8s.io/v1"
TRUNCATED = "audit.k8s.io/truncated"

_NONE = "<none>"


class Event:
    """What happened at one stage of one request. Read-only: sinks share it."""

    __slots__ = ("encoded", "fields", "has_objects")

    def __init__(self, fields: Object, *, request: bytes = b"", response: bytes = b"") -> None:
        """`fields` is everything but the two objects, which come as JSON; it becomes the event's own."""
        self.fields = fields
        self.has_objects = bool(request or response)
        try:
            self.encoded = orjson.dumps(_whole(fields, request, response))
            """JSON without a newline, inside or at its end."""
        except TypeError:
            # An issuer may put half a surrogate pair into a name; JSON in UTF-8 has no place for it.
            self.fields = _encodable(fields)
            self.encoded = orjson.dumps(_whole(self.fields, request, response))

    def without_objects(self) -> Event:
        """Return what is left of an event that is too long."""
        annotations = dict(sorted({**(self.fields.get("annotations") or {}), TRUNCATED: "true"}.items()))
        return Event({**self.fields, "annotations": annotations})

    def line(self) -> str:
        """Return the event as upstream's format `legacy` has it, without a newline."""
        fields = self.fields
        user, other = fields.get("user") or {}, fields.get("impersonatedUser")
        name = user.get("username") or ""
        groups = user.get("groups") if name else None
        as_user, as_groups = "<self>", "<lookup>"
        if other is not None:
            as_user = other.get("username") or ""
            as_groups = _quoted_each(other["groups"]) if other.get("groups") is not None else as_groups
        status = fields.get("responseStatus")
        addresses = fields.get("sourceIPs") or ["<unknown>"]
        pairs = {
            "id": fields["auditID"],
            "stage": fields["stage"],
            "ip": addresses[0],
            "method": fields["verb"],
            "user": name or _NONE,
            "groups": _quoted_each(groups) if groups else _NONE,
            "as": as_user,
            "asgroups": as_groups,
            "user-agent": fields.get("userAgent") or "",
            "namespace": (fields.get("objectRef") or {}).get("namespace") or _NONE,
            "uri": fields["requestURI"],
        }
        told = " ".join(f"{key}={_quoted(value)}" for key, value in pairs.items())
        response = "<deferred>" if status is None else str(status.get("code", 0))
        return f'{_nano(fields["requestReceivedTimestamp"])} AUDIT: {told} response="{response}"'


def _whole(fields: Object, request: bytes, response: bytes) -> Object:
    """Return the fields with the objects where upstream has them: before the times and the annotations."""
    if not request and not response:
        return fields
    whole: Object = {}
    for name, value in fields.items():
        if name == "requestReceivedTimestamp":
            if request:
                whole["requestObject"] = orjson.Fragment(request)
            if response:
                whole["responseObject"] = orjson.Fragment(response)
        whole[name] = value
    return whole


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    return [_encodable(one) for one in value] if isinstance(value, list) else value


def event_list(events: list[Event]) -> bytes:
    """Return the EventList that a webhook is sent."""
    head = f'{{"kind":"EventList","apiVersion":"{API_VERSION}","metadata":{{}},"items":['.encode()
    return head + b",".join([event.encoded for event in events]) + b"]}"


def _quoted(text: str) -> str:
    # Go's %q and JSON agree on what occurs here.
    return orjson.dumps(text).decode()


def _quoted_each(texts: list[str]) -> str:
    return ",".join(map(_quoted, texts))


def _nano(micro: str) -> str:
    """Return a time as RFC3339Nano, which ends with no zeros."""
    return micro[:-1].rstrip("0").rstrip(".") + "Z"
