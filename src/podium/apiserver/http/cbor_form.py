"""Objects, lists and watch events in CBOR, for those who ask for it behind the gate CBORServingAndStorage.

What another form says in JSON is said again in CBOR; what is stored is JSON either way. Values of bytes stay
the base64 text that they are in JSON, which upstream's decoders take for bytes where a field holds some.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from podium.apiserver.http.negotiation import CBOR, CBOR_SEQUENCE
from podium.machinery.codec import cbor

if TYPE_CHECKING:
    from podium.apiserver.cacher.entry import Entry
    from podium.apiserver.http.representation import Form
    from podium.apiserver.registry.read import Listing
    from podium.machinery.errors import Object


class CborForm:
    """Another form's bytes, from JSON to CBOR."""

    media_type = CBOR
    stream_type = CBOR_SEQUENCE

    def __init__(self, form: Form) -> None:
        self._form = form
        self.in_json = form

    def one(self, entry: Entry) -> bytes:
        return from_json(self._form.one(entry))

    def object(self, obj: Object) -> bytes:
        return from_json(self._form.object(obj))

    def list(self, listing: Listing) -> Sequence[bytes]:
        return (from_json(b"".join(self._form.list(listing))),)

    def line(self, type: str, entry: Entry) -> bytes:
        return _event(self._form.line(type, entry))

    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes:
        return _event(self._form.bookmark(revision, initial_events_end=initial_events_end))

    def error(self, status: Object) -> bytes:
        return _event(self._form.error(status))

    def message(self, line: bytes) -> bytes | str:
        return line


def from_json(body: bytes) -> bytes:
    """Return a JSON document in CBOR."""
    return cbor.encode(orjson.loads(body))


def _event(line: bytes) -> bytes:
    """Return a watch's event in CBOR: the object in it is an item of its own, magic number included."""
    event = orjson.loads(line)
    return cbor.embed({"type": event["type"]}, "object", cbor.encode(event["object"]))
