"""Objects, lists and watch events in protobuf, for those who ask for it.

What is stored is JSON, so an object is decoded and encoded anew: once for each event, however many watch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.http.negotiation import PROTOBUF
from podium.apiserver.registry.read import Listing, list_metadata
from podium.apiserver.registry.served import Served
from podium.machinery.codec import protobuf
from podium.machinery.errors import Object

if TYPE_CHECKING:
    from podium.apiserver.http.representation import Form

_STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class ProtobufForm:
    """One resource as messages of `definition`: its own, or PartialObjectMetadata."""

    media_type = PROTOBUF
    stream_type = f"{PROTOBUF};stream=watch"

    def __init__(self, served: Served, definition: str, api_version: str, kind: str, in_json: Form) -> None:
        self.in_json = in_json
        self._definition = definition
        self._api_version = api_version
        self._kind = kind
        # Metadata is the same in every version, so it needs no conversion.
        self._object = served.object if definition == served.resource.schema else Entry.decode

    def one(self, entry: Entry) -> bytes:
        return self.object(self._object(entry))

    def object(self, obj: Object) -> bytes:
        return protobuf.wrap(self._api_version, self._kind, protobuf.encode(self._definition, obj))

    def list(self, listing: Listing) -> Sequence[bytes]:
        metadata: Object = orjson.loads(list_metadata(listing))
        items = (self._object(entry) for entry in listing.entries)
        raw = protobuf.encode_list(self._definition, metadata, items)
        return (protobuf.wrap(self._api_version, f"{self._kind}List", raw),)

    def line(self, type: str, entry: Entry) -> bytes:
        return protobuf.frame(type, self.one(entry))

    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes:
        metadata: Object = {"resourceVersion": str(revision)}
        if initial_events_end:
            metadata["annotations"] = {_INITIAL_EVENTS_END: "true"}
        return protobuf.frame("BOOKMARK", self.object({"metadata": metadata}))

    def error(self, status: Object) -> bytes:
        raw = protobuf.encode(_STATUS, status)
        return protobuf.frame("ERROR", protobuf.wrap("v1", "Status", raw))

    def message(self, line: bytes) -> bytes | str:
        # A message has its own length.
        return line[protobuf.FRAME_HEAD_BYTES :]
