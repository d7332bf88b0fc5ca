"""What an extension API server says it serves, as the documents of discovery show it. Pure.

Nothing of it is believed to be well formed: what does not fit is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from podium.machinery.errors import Json, Object

_PARAMETERS = ";g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
ACCEPT = ",".join("application/json" + _PARAMETERS.format(version) for version in ("v2", "v2beta1"))

GroupVersion = tuple[str, str]
Resources = list[Object]


def is_aggregated(content_type: str) -> bool:
    """Whether an answer is a list of everything the server has, rather than of its groups alone."""
    parts = [part.strip().lower() for part in content_type.split(";")]
    return (
        "g=apidiscovery.k8s.io" in parts
        and "as=apigroupdiscoverylist" in parts
        and ("v=v2" in parts or "v=v2beta1" in parts)
    )


def from_aggregated(body: bytes) -> Mapping[GroupVersion, Resources]:
    """Return the resources by group and version. Raises ValueError for what is no such document."""
    found: dict[GroupVersion, Resources] = {}
    for group in _objects(_document(body).get("items")):
        name = _text(_object(group.get("metadata")).get("name"))
        for version in _objects(group.get("versions")):
            resources = [_resource(one) for one in _objects(version.get("resources"))]
            found[name, _text(version.get("version"))] = [one for one in resources if one["resource"]]
    return found


def from_plain(body: bytes) -> Resources:
    """Return the resources in an APIResourceList. Raises ValueError for what is none."""
    by_name: dict[str, Object] = {}
    for one in _objects(_document(body).get("resources")):
        name, _, sub = _text(one.get("name")).partition("/")
        if not name:
            continue
        kind = {key: _text(one.get(key)) for key in ("group", "version", "kind")}
        verbs = _texts(one.get("verbs"))
        if sub:
            parent = by_name.setdefault(name, {"resource": name, "verbs": []})
            parent.setdefault("subresources", []).append(
                {"subresource": sub, "responseKind": kind, "verbs": verbs}
            )
            continue
        made: Object = {
            "resource": name,
            "responseKind": kind,
            "scope": "Namespaced" if one.get("namespaced") is True else "Cluster",
            "singularResource": _text(one.get("singularName")),
            "verbs": verbs,
        }
        for key in ("shortNames", "categories"):
            if words := _texts(one.get(key)):
                made[key] = words
        before = by_name.get(name, {})
        by_name[name] = {**made, **{key: before[key] for key in ("subresources",) if key in before}}
    return list(by_name.values())


def _resource(one: Object) -> Object:
    made: Object = {
        "resource": _text(one.get("resource")),
        "responseKind": _kind(one.get("responseKind")),
        "scope": _text(one.get("scope")),
        "singularResource": _text(one.get("singularResource")),
        "verbs": _texts(one.get("verbs")),
    }
    for key in ("shortNames", "categories"):
        if words := _texts(one.get(key)):
            made[key] = words
    subresources = [
        {
            "subresource": _text(sub.get("subresource")),
            "responseKind": _kind(sub.get("responseKind")),
            "verbs": _texts(sub.get("verbs")),
        }
        for sub in _objects(one.get("subresources"))
    ]
    if subresources:
        made["subresources"] = subresources
    return made


def _document(body: bytes) -> Object:
    """Raises ValueError."""
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document


def _kind(value: Json) -> Object:
    given = _object(value)
    return {key: _text(given.get(key)) for key in ("group", "version", "kind")}


def _object(value: Json) -> Object:
    return value if isinstance(value, dict) else {}


def _objects(value: Json) -> Iterable[Object]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else ()


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Json) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
