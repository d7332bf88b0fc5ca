"""Custom resources in OpenAPI: what `kubectl explain` and generated clients read."""

from __future__ import annotations

from podium.machinery.errors import Json, Object

_META = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1."
_API_VERSION = "The version of the schema that this object is in, as the server knows it."
_KIND = "The kind of the resource that this object stands for; it cannot be changed."
_METADATA = "Standard object's metadata."
_SCHEMAS = ("items", "additionalProperties", "not")
_LISTS = ("allOf", "anyOf", "oneOf")

Gvk = tuple[str, str, str, str]
"""(group, version, kind, list kind)."""


def published(source: Object, gvk: Gvk) -> Object:
    """Return a version's schema as a definition of OpenAPI v2, with what all objects have."""
    made = _plain(source)
    properties = dict(made.get("properties") or {})
    properties["apiVersion"] = {"description": _API_VERSION, "type": "string"}
    properties["kind"] = {"description": _KIND, "type": "string"}
    properties["metadata"] = {"description": _METADATA, "$ref": f"{_META}ObjectMeta"}
    made["properties"] = dict(sorted(properties.items()))
    made.setdefault("type", "object")
    made["x-kubernetes-group-version-kind"] = [_kind(gvk, gvk[2])]
    return made


def published_list(name: str, gvk: Gvk) -> Object:
    """Return the definition of a list of what the definition `name` defines."""
    return {
        "description": f"{gvk[3]} is a list of {gvk[2]}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"description": _API_VERSION, "type": "string"},
            "items": {
                "description": "The objects.",
                "type": "array",
                "items": {"$ref": f"#/definitions/{name}"},
            },
            "kind": {"description": _KIND, "type": "string"},
            "metadata": {"description": "Standard list metadata.", "$ref": f"{_META}ListMeta"},
        },
        "x-kubernetes-group-version-kind": [_kind(gvk, gvk[3])],
    }


def _kind(gvk: Gvk, kind: str) -> Object:
    return {"group": gvk[0], "version": gvk[1], "kind": kind}


def _plain(source: Object) -> Object:
    """Copy a schema; embedded resources get the fields that they have without their schema saying so."""
    made: Object = {}
    for key, value in source.items():
        if key == "properties":
            made[key] = {name: _plain(part) for name, part in value.items()}
        elif key in _SCHEMAS and isinstance(value, dict):
            made[key] = _plain(value)
        elif key in _LISTS:
            made[key] = [_plain(part) for part in value]
        else:
            made[key] = _copy(value)
    if source.get("x-kubernetes-embedded-resource"):
        properties = made.setdefault("properties", {})
        properties.setdefault("apiVersion", {"description": _API_VERSION, "type": "string"})
        properties.setdefault("kind", {"description": _KIND, "type": "string"})
        properties["metadata"] = {"description": _METADATA, "$ref": f"{_META}ObjectMeta"}
    return made


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value
