"""How objects look in each form (whole, as a Table, as metadata only): alone, in lists, in watches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import orjson

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.http.negotiation import CBOR, JSON, PROTOBUF, YAML, Accepted
from podium.apiserver.http.protobuf_form import ProtobufForm
from podium.apiserver.http.respond import binary, compress, encoded, takes_gzip
from podium.apiserver.registry.read import Listing, list_metadata
from podium.apiserver.registry.served import Served
from podium.base.clock import Clock
from podium.base.http.message import Request, Response
from podium.machinery import table
from podium.machinery.errors import BadRequest, NotAcceptable, Object

INCLUDES = ("", "Metadata", "Object", "None")
PARTIAL = "io.k8s.apimachinery.pkg.apis.meta.v1.PartialObjectMetadata"
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Form(Protocol):
    """One form of one resource; what a `Rendering` of the cache asks for, and answers to get and list."""

    media_type: str
    """What the bytes are; JSON may still become YAML or prettier on its way."""
    stream_type: str
    """The Content-Type of a watch."""

    def one(self, entry: Entry) -> bytes: ...

    def object(self, obj: Object) -> bytes:
        """As `one`, for an object of the served version that is not in the cache."""
        ...

    def list(self, listing: Listing) -> Sequence[bytes]: ...
    def line(self, type: str, entry: Entry) -> bytes: ...
    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes: ...
    def error(self, status: Object) -> bytes: ...

    def message(self, line: bytes) -> bytes | str:
        """Return an event's line as a message of a WebSocket."""
        ...

    @property
    def in_json(self) -> Form:
        """Return the form that says the same in JSON."""
        ...


def form_of(served: Served, accepted: Accepted, clock: Clock, *, include: str = "", is_list: bool) -> Form:
    """Return the form that the client accepts. Raises `NotAcceptable`, `BadRequest`."""
    if accepted.media_type == CBOR:
        return _in_cbor(served, accepted, clock, is_list=is_list)
    if served.custom and accepted.media_type == PROTOBUF and not accepted.form:
        raise NotAcceptable(f"only the following media types are accepted: {JSON}, {YAML}")
    if not accepted.form:
        return whole(served) if accepted.media_type != PROTOBUF else in_protobuf(served)
    kind = served.resource.kind
    if accepted.form == "Table":
        if include not in INCLUDES:
            raise BadRequest(
                f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": '
                "must be 'Metadata', 'Object', 'None', or empty"
            )
        return TableForm(served, f"meta.k8s.io/{accepted.version}", include or "Metadata", clock)
    wants_list = accepted.form == "PartialObjectMetadataList"
    if wants_list is not is_list:
        package = served.resource.group.partition(".")[0] or "core"
        internal = "*unstructured.Unstructured" if served.custom else f"*{package}.{kind}"
        internal += "List" if is_list else ""
        what = "is a list" if is_list else "is not a list"
        raise NotAcceptable(f"you requested {accepted.form}, but the requested object {what} ({internal})")
    version = f"meta.k8s.io/{accepted.version}"
    if accepted.media_type == PROTOBUF:
        in_json = MetadataForm(served, version)
        return ProtobufForm(served, PARTIAL, version, "PartialObjectMetadata", in_json)
    return MetadataForm(served, version)


def _in_cbor(served: Served, accepted: Accepted, clock: Clock, *, is_list: bool) -> Form:
    # Loaded only where somebody asks for it.
    from podium.apiserver.http.cbor_form import CborForm  # noqa: PLC0415

    if accepted.form:
        return CborForm(form_of(served, replace(accepted, media_type=JSON), clock, is_list=is_list))
    if served.cbor_form is None:
        served.cbor_form = CborForm(whole(served))
    assert isinstance(served.cbor_form, CborForm)
    return served.cbor_form


def shown(
    make: Callable[[Form], bytes | Sequence[bytes]],
    form: Form,
    request: Request,
    wanted: Accepted,
    *,
    status: int = 200,
) -> Response:
    """Answer with what `make` makes by `form`."""
    body = make(form)
    if form.media_type == JSON:
        return encoded(body, request, media_type=wanted.media_type, status=status)
    if request.audit is not None:
        request.audit.answers(make(form.in_json))
    response = binary(body, form.media_type, status=status)
    if takes_gzip(request):
        compress(response)
    return response


def in_protobuf(served: Served) -> ProtobufForm:
    """As `whole`, in protobuf."""
    form = served.protobuf_form
    if form is None:
        resource = served.resource
        form = ProtobufForm(served, resource.schema, resource.api_version, resource.kind, whole(served))
        served.protobuf_form = form
    assert isinstance(form, ProtobufForm)
    return form


def whole(served: Served) -> WholeForm | ConvertedForm | CustomForm:
    """Return the one whole form of a served resource: watchers share it, so events are encoded once."""
    form = served.form
    if form is None:
        if served.custom:
            form = CustomForm(served)
        else:
            form = ConvertedForm(served) if served.converted else WholeForm(served)
        served.form = form
    assert isinstance(form, WholeForm | ConvertedForm | CustomForm)
    return form


def _bookmark(body: Object, revision: int, *, initial_events_end: bool) -> bytes:
    metadata: Object = {"resourceVersion": str(revision), "creationTimestamp": None}
    if initial_events_end:
        metadata["annotations"] = {_INITIAL_EVENTS_END: "true"}
    return orjson.dumps({"type": "BOOKMARK", "object": {**body, "metadata": metadata}}) + b"\n"


class _JsonForm:
    """What all forms in JSON share."""

    media_type = JSON
    stream_type = JSON

    def error(self, status: Object) -> bytes:
        return orjson.dumps({"type": "ERROR", "object": status}) + b"\n"

    def message(self, line: bytes) -> bytes | str:
        return line.decode()

    @property
    def in_json(self) -> Form:
        return self  # type: ignore[return-value]


class WholeForm(_JsonForm):
    """Objects as they are stored: bytes are joined, nothing is decoded."""

    def __init__(self, served: Served) -> None:
        resource = served.resource
        self._served = served
        self._kind = {"kind": resource.kind, "apiVersion": resource.api_version}
        self._list_head = (
            f'{{"kind":"{resource.list_kind}","apiVersion":"{resource.api_version}","metadata":'.encode()
        )
        self._lines = {
            type: b'{"type":"%s","object":%s' % (type.encode(), served.head)
            for type in ("ADDED", "MODIFIED", "DELETED")
        }

    def one(self, entry: Entry) -> bytes:
        return self._served.head + entry.item[1:]

    def object(self, obj: Object) -> bytes:
        return orjson.dumps({**self._kind, **obj})

    def list(self, listing: Listing) -> Sequence[bytes]:
        items = b",".join([entry.item for entry in listing.entries])
        return (self._list_head, list_metadata(listing), b',"items":[', items, b"]}")

    def line(self, type: str, entry: Entry) -> bytes:
        return b"%s%s}\n" % (self._lines[type], entry.item[1:])

    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes:
        return _bookmark(self._kind, revision, initial_events_end=initial_events_end)


class ConvertedForm(_JsonForm):
    """Objects in a version that is not the stored one."""

    def __init__(self, served: Served) -> None:
        self._served = served
        resource = served.resource
        self._kind = {"kind": resource.kind, "apiVersion": resource.api_version}

    def one(self, entry: Entry) -> bytes:
        return orjson.dumps({**self._kind, **self._served.object(entry)})

    def object(self, obj: Object) -> bytes:
        return orjson.dumps({**self._kind, **obj})

    def list(self, listing: Listing) -> Sequence[bytes]:
        resource = self._served.resource
        items = []
        for entry in listing.entries:
            item = self._served.object(entry)
            del item["kind"], item["apiVersion"]
            items.append(item)
        head = orjson.dumps({"kind": resource.list_kind, "apiVersion": resource.api_version})
        return (head[:-1], b',"metadata":', list_metadata(listing), b',"items":', orjson.dumps(items), b"}")

    def line(self, type: str, entry: Entry) -> bytes:
        return b'{"type":"%s","object":%s}\n' % (type.encode(), self.one(entry))

    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes:
        return _bookmark(self._kind, revision, initial_events_end=initial_events_end)


class CustomForm(_JsonForm):
    """Custom resources: each item of a list says what it is, as upstream's do."""

    def __init__(self, served: Served) -> None:
        self._served = served
        resource = served.resource
        self._kind = {"apiVersion": resource.api_version, "kind": resource.kind}

    def one(self, entry: Entry) -> bytes:
        return self._served.whole(entry)

    def object(self, obj: Object) -> bytes:
        return orjson.dumps({**self._kind, **obj})

    def list(self, listing: Listing) -> Sequence[bytes]:
        resource = self._served.resource
        head = orjson.dumps({"apiVersion": resource.api_version, "kind": resource.list_kind})
        metadata = list_metadata(listing)
        if not listing.continue_token:
            metadata = b'{"continue":"",' + metadata[1:]
        items = b",".join([self._served.whole(entry) for entry in listing.entries])
        return (head[:-1], b',"metadata":', metadata, b',"items":[', items, b"]}")

    def line(self, type: str, entry: Entry) -> bytes:
        return b'{"type":"%s","object":%s}\n' % (type.encode(), self.one(entry))

    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes:
        return _bookmark(self._kind, revision, initial_events_end=initial_events_end)


class MetadataForm(_JsonForm):
    """Metadata only (PartialObjectMetadata)."""

    def __init__(self, served: Served, api_version: str) -> None:
        self._served = served
        self._kind = {"kind": "PartialObjectMetadata", "apiVersion": api_version}
        self._api_version = api_version

    def one(self, entry: Entry) -> bytes:
        return self.object(entry.decode())

    def object(self, obj: Object) -> bytes:
        metadata, hidden = obj["metadata"], self._served.resource.hidden_annotations
        if hidden:
            metadata = table.without_annotations(metadata, hidden)
        return orjson.dumps({**self._kind, "metadata": metadata})

    def list(self, listing: Listing) -> Sequence[bytes]:
        head = orjson.dumps({"kind": "PartialObjectMetadataList", "apiVersion": self._api_version})
        items = b",".join([self.one(entry) for entry in listing.entries])
        body = b"[%s]" % items if items else b"null"
        return (head[:-1], b',"metadata":', list_metadata(listing), b',"items":', body, b"}")

    def line(self, type: str, entry: Entry) -> bytes:
        return b'{"type":"%s","object":%s}\n' % (type.encode(), self.one(entry))

    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes:
        return _bookmark(self._kind, revision, initial_events_end=initial_events_end)


class TableForm(_JsonForm):
    """Rows for people. One instance serves one request: in a watch the columns come with the first event."""

    def __init__(self, served: Served, api_version: str, include: str, clock: Clock) -> None:
        self._served = served
        self._api_version = api_version
        self._include = include
        self._clock = clock
        self._columns_sent = False

    def _table(self, objects: Sequence[Object], metadata: Object) -> Object:
        made = table.table(
            self._served.resource,
            objects,
            now=self._clock.now(),
            include_object=self._include,
            list_meta=metadata,
        )
        made["apiVersion"] = self._api_version
        for row in made["rows"]:
            partial = row.get("object")
            if partial and partial.get("kind") == "PartialObjectMetadata":
                partial["apiVersion"] = self._api_version
        if not made["rows"] and not self._served.resource.columns:
            made["rows"] = None
        return made

    def one(self, entry: Entry) -> bytes:
        return self.object(self._served.object(entry))

    def object(self, obj: Object) -> bytes:
        version = obj["metadata"].get("resourceVersion")
        metadata = {"resourceVersion": version} if version else {}
        return orjson.dumps(self._table([obj], metadata))

    def list(self, listing: Listing) -> Sequence[bytes]:
        shown = [(self._served.object(entry), entry) for entry in listing.entries]
        if (order := self._served.resource.row_order) is not None:
            shown.sort(key=lambda one: order(one[0]))
        made = self._table([obj for obj, _ in shown], orjson.loads(list_metadata(listing)))
        if self._served.converted:
            # What conversion hides in annotations is no part of what upstream's tables show.
            for row, (_, entry) in zip(made["rows"] or (), shown, strict=True):
                if row.get("object"):
                    row["object"]["metadata"] = entry.decode()["metadata"]
        return (orjson.dumps(made),)

    def line(self, type: str, entry: Entry) -> bytes:
        obj = self._served.object(entry)
        made = self._table([obj], {"resourceVersion": str(entry.revision)})
        if self._columns_sent:
            made["columnDefinitions"] = None
        self._columns_sent = True
        return orjson.dumps({"type": type, "object": made}) + b"\n"

    def bookmark(self, revision: int, *, initial_events_end: bool) -> bytes:
        made = self._table([], {"resourceVersion": str(revision)})
        return orjson.dumps({"type": "BOOKMARK", "object": made}) + b"\n"
