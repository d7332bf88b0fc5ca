"""Custom resources in OpenAPI: what `kubectl explain` and generated clients read."""

from __future__ import annotations

from collections.abc import Sequence

from podium.machinery.errors import Json, Object

_META = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1."
_API_VERSION = "The version of the schema that this object is in, as the server knows it."
_KIND = "The kind of the resource that this object stands for; it cannot be changed."
_METADATA = "Standard object's metadata."
_SCHEMAS = ("items", "additionalProperties", "not")
_LISTS = ("allOf", "anyOf", "oneOf")
_PRESERVES = "x-kubernetes-preserve-unknown-fields"

Gvk = tuple[str, str, str, str]
"""(group, version, kind, list kind)."""


def published(
    source: Object, gvk: Gvk, *, v3: bool = False, preserve: bool = False, selectable: Sequence[str] = ()
) -> Object:
    """Return a version's schema as a definition, with what all objects have.

    OpenAPI v2 says less: kubectl takes a schema there for all that there is, so that what keeps unknown
    fields is published without any, and it knows neither alternatives, defaults nor null. `preserve` is
    spec.preserveUnknownFields.
    """
    if not v3 and (preserve or source.get(_PRESERVES)):
        made: Object = {"type": "object"}
    else:
        made = _plain(source) if v3 else _for_v2(source)
        properties = dict(made.get("properties") or {})
        properties["apiVersion"] = {"description": _API_VERSION, "type": "string"}
        properties["kind"] = {"description": _KIND, "type": "string"}
        properties["metadata"] = {"description": _METADATA, "$ref": f"{_META}ObjectMeta"}
        made["properties"] = dict(sorted(properties.items()))
        made.setdefault("type", "object")
    made["x-kubernetes-group-version-kind"] = [_kind(gvk, gvk[2])]
    return made | _selectable(selectable)


def _selectable(paths: Sequence[str]) -> Object:
    if not paths:
        return {}
    return {"x-kubernetes-selectable-fields": [{"fieldPath": path} for path in paths]}


def published_list(name: str, gvk: Gvk, *, selectable: Sequence[str] = ()) -> Object:
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
        **_selectable(selectable),
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
    if source.get("x-kubernetes-int-or-string"):
        _say_either(made)
    if source.get("x-kubernetes-embedded-resource"):
        _add_meta(made)
    return made


def _say_either(made: Object) -> None:
    """Have an int-or-string say that it is an integer or a string, where it does not yet."""
    either = [{"type": "integer"}, {"type": "string"}]
    parts = made.get("allOf") or []
    if made.get("anyOf") == either or (parts and parts[0].get("anyOf") == either):
        return
    if made.get("anyOf"):
        made["allOf"] = [{"anyOf": either}, *parts]
    else:
        made["anyOf"] = either


def _add_meta(made: Object) -> None:
    """Add to an embedded resource what it has without its schema saying so."""
    properties = made.setdefault("properties", {})
    properties["apiVersion"] = {"description": _API_VERSION, "type": "string"}
    properties["kind"] = {"description": _KIND, "type": "string"}
    properties["metadata"] = {"description": _METADATA, "$ref": f"{_META}ObjectMeta"}
    required = made.setdefault("required", [])
    required += [name for name in ("kind", "apiVersion") if name not in required]


def _for_v2(source: Object) -> Object:
    """Copy a schema without what clients of v2 stumble over."""
    preserves, nullable = bool(source.get(_PRESERVES)), bool(source.get("nullable"))
    left_out = {"default", "nullable", "not", *_LISTS}
    if nullable or preserves:
        left_out |= {"items", "properties"}
    if nullable or (preserves and source.get("type") == "object"):
        left_out.add("type")
    made: Object = {}
    for key, value in source.items():
        if key in left_out:
            continue
        if key == "properties":
            made[key] = {name: _for_v2(part) for name, part in value.items()}
        elif key in _SCHEMAS and isinstance(value, dict):
            made[key] = _for_v2(value)
        else:
            made[key] = _copy(value)
    if made.get("type") == "array" and "items" not in made:
        del made["type"]
    _require_less(made, source)
    if source.get("x-kubernetes-embedded-resource") and not preserves:
        _add_meta(made)
    return made


def _require_less(made: Object, source: Object) -> None:
    """Do not require what may be null, which v2 cannot tell from missing."""
    others = source.get("additionalProperties")
    if isinstance(others, dict) and others.get("nullable"):
        made.pop("required", None)
    properties = (made.get("properties") and source.get("properties")) or {}
    required = [
        name for name in made.get("required") or () if not (properties.get(name) or {}).get("nullable")
    ]
    if required:
        made["required"] = required
    else:
        made.pop("required", None)


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value
