"""Which form of an answer the client accepts, and in which encoding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from podium.base.caching import KEPT_LENGTH_MAX
from podium.machinery.codec import protobuf
from podium.machinery.errors import NotAcceptable

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry
    from podium.apiserver.registry.served import Served
    from podium.base.http.message import Request

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
CBOR = "application/cbor"
CBOR_SEQUENCE = "application/cbor-seq"
TYPES = (JSON, YAML, PROTOBUF)
"""What every server offers, the first for those who take anything."""

OFFERED = ", ".join(TYPES)

_FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_FORMED = frozenset(("as", "g", "v", "sv"))
"""Parameters that ask for more than a media type."""
_META_VERSIONS = ("v1", "v1beta1")
_SERVER_VERSION = "v1"
"""What a client may ask the server's own objects to be in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What the client gets. `form` "" is the object as it is."""

    media_type: str = JSON
    form: str = ""
    version: str = ""
    """The version of meta.k8s.io in which a form is wanted."""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    type: str
    subtype: str
    parameters: dict[str, str]
    quality: float

    def takes(self, media_type: str) -> bool:
        """Tell whether `media_type` is among what this clause accepts."""
        if self.subtype == "*":
            return self.type == "*" or media_type.startswith(f"{self.type}/")
        return media_type == f"{self.type}/{self.subtype}"

    def before(self, other: Clause) -> bool:
        """Tell whether upstream, comparing the two, puts this one first. That is no order: see `clauses`."""
        return (
            self.quality > other.quality
            or (self.type != "*" and other.type == "*")
            or (self.subtype != "*" and other.subtype == "*")
        )


def accept_of(request: Request) -> str:
    """Return the Accept header of a request, as far as it is looked at."""
    accept = request.headers.get("accept")
    return accept if len(accept) <= KEPT_LENGTH_MAX else accept[:KEPT_LENGTH_MAX].rpartition(",")[0]


@lru_cache(maxsize=256)
def clauses(accept: str) -> tuple[Clause, ...]:
    """Return the clauses of an Accept header, the most wanted first."""
    found = [clause for text in accept.split(",") if (clause := _clause(text)) is not None]
    # Upstream's sort, step by step: what it compares by depends on the way that it takes.
    for end in range(1, len(found)):
        at = end
        while at and found[at].before(found[at - 1]):
            found[at - 1], found[at] = found[at], found[at - 1]
            at -= 1
    return tuple(found)


def _clause(text: str) -> Clause | None:
    """Return one clause, None for what is none."""
    media_type, *rest = text.strip(" ").split(";")
    type, _, subtype = media_type.partition("/")
    type, subtype = type.strip(" "), subtype.strip(" ")
    if not subtype and type == "*":
        subtype = "*"
    if not subtype or "/" in subtype:
        return None
    parameters: dict[str, str] = {}
    quality = 1.0
    for parameter in rest:
        key, _, value = parameter.partition("=")
        key = key.strip(" ")
        if not value or "=" in value:
            continue
        if key == "q":
            quality = _quality(value)
        else:
            parameters[key] = value.strip(" ")
    return Clause(type=type, subtype=subtype, parameters=parameters, quality=quality)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


@lru_cache(maxsize=512)
def accepted(
    accept: str,
    offered: tuple[str, ...] = TYPES,
    *,
    protobuf: bool = True,
    tables: bool = True,
    stream: bool = False,
    listing: bool = False,
    routed: bool = True,
) -> Accepted:
    """Return the first acceptable form for a resource's answer. Raises `NotAcceptable`.

    `protobuf` tells whether the kind has that form: metadata of any kind has, tables never. `tables` tells
    whether the resource can be a table. `stream` is for watches, which YAML cannot carry, `listing` for what
    would be a watch if the client asked for one. `routed` is for what upstream's router looks at first.
    """
    if not accept:
        return Accepted()
    if routed:
        see_routed(accept, (*offered, *streams(offered)) if stream or listing else offered)
    for clause in clauses(accept):
        for media_type in offered:
            if not clause.takes(media_type):
                continue
            found = _of_clause(clause, media_type, protobuf=protobuf, tables=tables)
            if found is not None:
                if stream and media_type == YAML:
                    raise _not_acceptable(streams(offered))
                return found
    raise _not_acceptable(offered)


@lru_cache(maxsize=512)
def accepted_as_it_is(accept: str, offered: tuple[str, ...] = TYPES) -> str:
    """Return the media type of what has no other form: an error, discovery. Raises `NotAcceptable`."""
    if not accept:
        return JSON
    for clause in clauses(accept):
        parameters = clause.parameters
        if parameters and (_FORMED & parameters.keys() or parameters.get("stream", "watch") != "watch"):
            continue
        for media_type in offered:
            if clause.takes(media_type) and not (media_type == YAML and "stream" in parameters):
                return media_type
    raise _not_acceptable(offered)


def see_routed(accept: str, offered: tuple[str, ...]) -> None:
    """Raise `NotAcceptable` unless upstream's router finds one of `offered` in the header.

    It knows no wildcard but `*/*`, no quality, and no parameters.
    """
    for text in accept.split(","):
        media_type = text.partition(";")[0].strip(" ")
        if media_type == "*/*" or media_type in offered:
            return
    available = f"406: Not Acceptable\n\nAvailable representations: {', '.join(offered)}"
    raise NotAcceptable(available, details={})


@lru_cache(maxsize=8)
def streams(offered: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a watch can be in."""
    return tuple(
        CBOR_SEQUENCE if type == CBOR else f"{type};stream=watch" for type in offered if type != YAML
    )


def _not_acceptable(offered: tuple[str, ...]) -> NotAcceptable:
    return NotAcceptable(f"only the following media types are accepted: {', '.join(offered)}")


def _of_clause(clause: Clause, media_type: str, *, protobuf: bool, tables: bool) -> Accepted | None:
    """Return what one clause asks for of one media type, None where that cannot be had."""
    parameters = clause.parameters
    if not parameters:
        return None if media_type == PROTOBUF and not protobuf else Accepted(media_type=media_type)
    stream = parameters.get("stream")
    if stream and (stream != "watch" or media_type == YAML):
        return None
    if parameters.get("sv") not in (None, "", _SERVER_VERSION):
        return None
    form, version, group = (parameters.get(key, "") for key in ("as", "v", "g"))
    if not (form or version or group):
        return None if media_type == PROTOBUF and not protobuf else Accepted(media_type=media_type)
    if form not in _FORMS or group != "meta.k8s.io" or version not in _META_VERSIONS:
        return None
    if form == "Table" and (media_type not in (JSON, YAML) or not tables):
        return None
    return Accepted(media_type=media_type, form=form, version=version, group=group)


def negotiate(
    registry: Registry, served: Served, request: Request, *, stream: bool = False, listing: bool = False
) -> Accepted:
    """Return what the client wants of `served`. Raises `NotAcceptable`."""
    accept = accept_of(request)
    has_protobuf = "/vnd.kubernetes.protobuf" not in accept or protobuf.knows(served.resource.schema)
    return accepted(
        accept,
        registry.media_types,
        protobuf=has_protobuf,
        stream=stream,
        listing=listing,
        routed=not served.custom,
    )
