"""The OpenAPI documents of extension API servers, and how they go into this server's own. Pure.

Of a v2 document only the paths of the registered group and version count, and the definitions that they
reach. Where two servers define a name differently, the later one's is renamed, as upstream's
(kube-openapi/pkg/aggregator): `name_v2`, `name_v3`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import orjson

from podium.apiserver.openapi import documents, gnostic
from podium.machinery.errors import Json, Object

_REFERENCE = "#/definitions/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One group and version of a v2 document, compressed: it is read seldom, and may be large."""

    etag: str
    packed: bytes

    def document(self) -> Object:
        document: Object = orjson.loads(zlib.decompress(self.packed))
        return document


def keep(body: bytes, etag: str, group: str, version: str) -> Kept:
    """Return what a document says of one group and version.

    Raises ValueError for what is no document, or could not be shown in every form: one server's nonsense must
    not spoil the document that all are in.
    """
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ValueError("the OpenAPI document is no object")
    try:
        selected = _selected(document, group, version)
        text = orjson.dumps(selected)
        gnostic.v2(selected)
        gnostic.v3(documents.v3_of_v2(selected, ""))
        documents.share_parameters(orjson.loads(text))
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError) as error:
        raise ValueError(f"the OpenAPI document is malformed: {error!r}") from error
    return Kept(etag=etag, packed=zlib.compress(text, 6))


def _selected(document: Object, group: str, version: str) -> Object:
    prefix = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    paths = {path: item for path, item in _mapping(document.get("paths")).items() if path.startswith(prefix)}
    known = _mapping(document.get("definitions"))
    parameters = _mapping(document.get("parameters"))
    if parameters:
        paths = _inlined(paths, parameters)
    definitions: Object = {}
    waiting = list(references(paths))
    while waiting:
        name = waiting.pop()
        if name in definitions or name not in known:
            continue
        definitions[name] = known[name]
        waiting += references(known[name])
    return {"paths": paths, "definitions": definitions}


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _inlined(value: Json, parameters: Mapping[str, Json]) -> Json:
    """Return `value` with shared parameters written out, so that they cannot clash."""
    if isinstance(value, list):
        return [_inlined(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/parameters/"):
        return parameters.get(reference.removeprefix("#/parameters/"), value)
    return {key: _inlined(item, parameters) for key, item in value.items()}


def references(value: Json) -> Iterator[str]:
    """Yield the names of the definitions that `value` refers to."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str) and item.startswith(_REFERENCE):
                yield item.removeprefix(_REFERENCE)
            else:
                yield from references(item)


def merge(paths: Object, definitions: Object, extra: Iterable[Object]) -> None:
    """Add the documents of extension servers, in place. What is there already wins."""
    for document in extra:
        new = document["definitions"]
        renamed: dict[str, str] = {}
        for name, definition in new.items():
            if name in definitions and definitions[name] != definition:
                renamed[name] = _free_name(name, definition, definitions)
        for name, definition in new.items():
            definitions.setdefault(renamed.get(name, name), _renamed(definition, renamed))
        for path, item in document["paths"].items():
            paths.setdefault(path, _renamed(item, renamed))


def _free_name(name: str, definition: Json, taken: Object) -> str:
    number = 2
    while f"{name}_v{number}" in taken and taken[f"{name}_v{number}"] != definition:
        number += 1
    return f"{name}_v{number}"


def _renamed(value: Json, renamed: Mapping[str, str]) -> Json:
    if not renamed:
        return value
    if isinstance(value, list):
        return [_renamed(item, renamed) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _renamed(item, renamed) for key, item in value.items()}
    reference = made.get("$ref")
    if isinstance(reference, str) and reference.removeprefix(_REFERENCE) in renamed:
        made["$ref"] = _REFERENCE + renamed[reference.removeprefix(_REFERENCE)]
    return made


def v3_url(body: bytes, group: str, version: str) -> str:
    """Return where the index says the document of a group and version is; "" when it does not."""
    index = orjson.loads(body)
    paths = _mapping(_mapping(index).get("paths"))
    url = _mapping(paths.get(f"apis/{group}/{version}")).get("serverRelativeURL")
    return url if isinstance(url, str) and url.startswith("/openapi/v3/") else ""
