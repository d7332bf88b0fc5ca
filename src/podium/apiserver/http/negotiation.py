"""Which form of an answer the client accepts, and in which encoding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

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
    media_type: str
    parameters: dict[str, str]
    quality: float


@lru_cache(maxsize=256)
def clauses(accept: str) -> tuple[Clause, ...]:
    """Return the clauses of an Accept header, the most wanted first."""
    found = []
    for text in accept.split(","):
        media_type, *rest = (part.strip() for part in text.split(";"))
        if not media_type:
            continue
        parameters: dict[str, str] = {}
        quality = 1.0
        for parameter in rest:
            key, _, value = parameter.partition("=")
            if key == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 1.0
            else:
                parameters[key] = value
        found.append(Clause(media_type=media_type.lower(), parameters=parameters, quality=quality))
    found.sort(
        key=lambda clause: (
            -clause.quality,
            clause.media_type.startswith("*/"),
            clause.media_type.endswith("/*"),
        )
    )
    return tuple(found)


@lru_cache(maxsize=512)
def accepted(
    accept: str,
    offered: tuple[str, ...] = TYPES,
    *,
    protobuf: bool = True,
    tables: bool = True,
    stream: bool = False,
    listing: bool = False,
) -> Accepted:
    """Return the first acceptable form for a resource's answer. Raises `NotAcceptable`.

    `protobuf` tells whether the kind has that form: metadata of any kind has, tables never. `tables` tells
    whether the resource can be a table. `stream` is for watches, which YAML cannot carry, `listing` for what
    would be a watch if the client asked for one.
    """
    wanted = clauses(accept)
    if not wanted:
        return Accepted()
    known = False
    for clause in wanted:
        for media_type in offered:
            # Not "application/*": upstream's first look at the header knows no such wildcard.
            if clause.media_type not in (media_type, "*/*"):
                continue
            known = True
            found = _of_clause(clause, media_type, protobuf=protobuf, tables=tables)
            if found is not None:
                if stream and media_type == YAML:
                    raise _not_acceptable(_streams(offered))
                return found
    if known:
        raise _not_acceptable(offered)
    more = _streams(offered) if stream or listing else ()
    available = f"406: Not Acceptable\n\nAvailable representations: {', '.join((*offered, *more))}"
    raise NotAcceptable(available, details={})


def _streams(offered: tuple[str, ...]) -> tuple[str, ...]:
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
    accept = request.headers.get("accept")
    has_protobuf = "/vnd.kubernetes.protobuf" not in accept or protobuf.knows(served.resource.schema)
    return accepted(accept, registry.media_types, protobuf=has_protobuf, stream=stream, listing=listing)
