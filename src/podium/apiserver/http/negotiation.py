"""Which form of an answer the client accepts, and in which encoding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from podium.machinery.errors import NotAcceptable

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
OFFERED = f"{JSON}, {YAML}, {PROTOBUF}"

_FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_META_VERSIONS = ("v1", "v1beta1")


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
    found.sort(key=lambda clause: -clause.quality)
    return tuple(found)


@lru_cache(maxsize=256)
def accepted(accept: str) -> Accepted:
    """Return the first acceptable form for a resource's answer. Raises `NotAcceptable`."""
    wanted = clauses(accept)
    if not wanted:
        return Accepted()
    known = protobuf = False
    for clause in wanted:
        if clause.media_type in ("*/*",):
            return Accepted()
        if clause.media_type == PROTOBUF and not clause.parameters.get("as"):
            protobuf = True
        if clause.media_type not in (JSON, YAML):
            continue
        known = True
        form = clause.parameters.get("as", "")
        if not form:
            return Accepted(media_type=clause.media_type)
        version, group = clause.parameters.get("v", ""), clause.parameters.get("g", "")
        if form in _FORMS and group == "meta.k8s.io" and version in _META_VERSIONS:
            return Accepted(media_type=clause.media_type, form=form, version=version, group=group)
    if protobuf:
        # Only for those who take nothing else: JSON is stored and costs nothing to send.
        return Accepted(media_type=PROTOBUF)
    if known:
        raise NotAcceptable(f"only the following media types are accepted: {OFFERED}")
    raise NotAcceptable(f"406: Not Acceptable\n\nAvailable representations: {OFFERED}", details={})
