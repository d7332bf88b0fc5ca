"""One object as the watch cache holds it: its encoded bytes, and what selectors asked about it.

Objects are stored as JSON whose metadata begins with an empty resourceVersion, because an object is encoded
before its revision is known:

    {"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"","name":"a",...},"spec":...}

The cache splices the revision in and drops the head, so that what it keeps is an item of a list as upstream
writes one (without kind and apiVersion), and puts the head of whichever version is asked for in front of it
for everything else. No plain read decodes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from sys import intern
from typing import Any

import orjson

from podium.machinery.errors import Object
from podium.store.protocol import Record

_METADATA = b'{"metadata":{"resourceVersion":"'
_MARK = b'"metadata":{"resourceVersion":"'
_MARK_LENGTH = len(_MARK)
_LABELS = b',"labels":{'
_VERSION = b'"apiVersion":"'


def encode(obj: Object, kind: str, api_version: str) -> bytes:
    """Return `obj` as it is stored. The object itself stays as it is."""
    given = obj["metadata"]
    # Labels come next, so that they can be read without the rest.
    metadata: Object = {"resourceVersion": ""}
    if given.get("labels"):
        metadata["labels"] = given["labels"]
    metadata.update(given)
    metadata["resourceVersion"] = ""
    # These come first, whatever the order in `obj`.
    body: Object = {"kind": kind, "apiVersion": api_version, "metadata": metadata, **obj}
    body["kind"], body["apiVersion"], body["metadata"] = kind, api_version, metadata
    return orjson.dumps(body)


def _version_of(value: bytes) -> str:
    """Return the apiVersion that stored bytes begin with, "" when they do not say."""
    start = value.find(_VERSION, 0, 256)
    if start < 0:
        return ""
    start += len(_VERSION)
    return intern(value[start : value.index(b'"', start)].decode())


def head(kind: str, api_version: str) -> bytes:
    """Return what stands before an item's bytes, less its opening brace, to make it a whole object."""
    return b'{"kind":"%s","apiVersion":"%s",' % (kind.encode(), api_version.encode())


def item_of(value: bytes, revision: int) -> bytes:
    """Return stored bytes as a list item at `revision`."""
    place = value.find(_MARK, 0, 256)
    if place < 0:
        return _foreign_item(value, revision)
    end = value.index(b'"', place + _MARK_LENGTH)
    return b"%s%d%s" % (_METADATA, revision, value[end:])


def _foreign_item(value: bytes, revision: int) -> bytes:
    """As `item_of` for what something else wrote. Raises ValueError."""
    from podium.apiserver.cacher import foreign  # noqa: PLC0415

    obj = foreign.decode(value)
    obj.pop("kind", None)
    obj.pop("apiVersion", None)
    metadata = obj.pop("metadata", None) or {}
    if not isinstance(metadata, dict):
        raise ValueError("metadata is no object")
    metadata.pop("resourceVersion", None)
    return orjson.dumps({"metadata": {"resourceVersion": str(revision), **metadata}, **obj})


def _at_revision(item: bytes, revision: int) -> bytes:
    end = item.index(b'"', len(_METADATA))
    return b"%s%d%s" % (_METADATA, revision, item[end:])


def _labels_of(item: bytes) -> Mapping[str, str] | None:
    """Return an object's labels where they can be told from its first bytes, else None."""
    start = item.index(b'"', len(_METADATA)) + 1
    if item.startswith(_LABELS, start):
        start += len(_LABELS) - 1
        # No label has a brace in it.
        labels: Mapping[str, str] = orjson.loads(item[start : item.index(b"}", start) + 1])
        return labels
    return None if _LABELS[1:] in item else {}


class Entry:
    """An object at one revision. Immutable, but for what it has learnt about itself."""

    __slots__ = ("_labels", "_object", "_values", "api_version", "item", "key", "revision", "shown")

    def __init__(self, key: str, item: bytes, revision: int, api_version: str = "") -> None:
        self.key = key
        """The key below the resource's root: `namespace/name` or `name`."""
        self.item = item
        self.revision = revision
        self.api_version = api_version
        """The version in which the object is stored."""
        self.shown: dict[str, tuple[object, bytes | None]] | None = None
        """Kept here by custom resources: the object in versions that it is not stored in."""
        self._labels: Mapping[str, str] | None = None
        self._values: dict[str, str] | None = None
        self._object: Object | None = None

    @staticmethod
    def of(record: Record, root_length: int) -> Entry:
        revision, value = record.mod_revision, record.value
        return Entry(record.key[root_length:], item_of(value, revision), revision, _version_of(value))

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def namespace(self) -> str:
        return self.key.rpartition("/")[0]

    def decode(self) -> Object:
        """Return a fresh object, the caller's to change; without kind and apiVersion."""
        obj: Object = orjson.loads(self.item)
        return obj

    def shared(self, kind: str, api_version: str) -> Object:
        """Return the object with kind and apiVersion, decoded once and kept: read-only."""
        if self._object is None:
            self._object = {"kind": kind, "apiVersion": api_version, **self.decode()}
        return self._object

    def passing(self, kind: str, api_version: str) -> Object:
        """As `shared`, but not kept for the next one who asks: for readers that look once."""
        if self._object is not None:
            return self._object
        return {"kind": kind, "apiVersion": api_version, **self.decode()}

    def at(self, revision: int) -> Entry:
        """Return the same object bearing another revision: the last state of what was deleted then."""
        return Entry(self.key, _at_revision(self.item, revision), revision, self.api_version)

    @property
    def labels(self) -> Mapping[str, str]:
        if self._labels is None:
            self._labels = _labels_of(self.item)
            if self._labels is None:
                self._labels = self._peek()["metadata"].get("labels") or {}
        return self._labels

    def value(self, path: str, getter: Callable[[Object], str]) -> str:
        """Return the value of a selectable field; `getter` is asked once for each path."""
        if self._values is None:
            self._values = {}
        known = self._values.get(path)
        if known is None:
            known = self._values[path] = getter(self._peek())
        return known

    def _peek(self) -> dict[str, Any]:
        if self._object is not None:
            return self._object
        obj = self.decode()
        # Labels come along: whoever asks for a field may ask for them next, and decoding is what costs.
        if self._labels is None:
            self._labels = obj["metadata"].get("labels") or {}
        return obj


class Event:
    """One change of one object. `entry` is None for a deletion, `previous` for a creation."""

    __slots__ = ("entry", "last", "previous", "revision")

    def __init__(self, revision: int, entry: Entry | None, previous: Entry | None) -> None:
        self.revision = revision
        self.entry = entry
        self.previous = previous
        self.last: Entry | None = None
        """`previous` bearing this event's revision, made when first asked for."""

    def departed(self) -> Entry:
        """Return what a DELETED event shows: the last state, at the revision of this event."""
        if self.last is None:
            assert self.previous is not None
            self.last = self.previous.at(self.revision)
        return self.last

    @property
    def key(self) -> str:
        entry = self.entry or self.previous
        assert entry is not None
        return entry.key

    @property
    def size_bytes(self) -> int:
        """What keeping this event costs; the previous state is the event before's, and counted there."""
        entry = self.entry or self.previous
        assert entry is not None
        return 64 + len(entry.item)
