"""Whether a schema is structural: every value has a type, and junctors only restrict what stands outside of
them.

Only then is it clear what to prune and to default. Upstream: apiextensions-apiserver/pkg/apiserver/schema.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.regexp import PatternError, compiled

Errors = list[FieldError]

_POINTERS = (
    "additionalProperties",
    "default",
    "externalDocs",
    "items",
    "not",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
)
_JUNCTORS = ("anyOf", "allOf", "oneOf")
_EMBEDDED, _PRESERVES = "x-kubernetes-embedded-resource", "x-kubernetes-preserve-unknown-fields"
_EITHER = "x-kubernetes-int-or-string"
_METADATA_PROPERTIES = frozenset(("name", "generateName"))
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_UNREADABLE = {
    "id": "id",
    "$schema": "schema",
    "$ref": "$ref",
    "patternProperties": "patternProperties",
    "dependencies": "dependencies",
    "additionalItems": "additionalItems",
    "definitions": "definitions",
}
_FORBIDDEN_INSIDE = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    _PRESERVES: "must be false to be structural",
    _EMBEDDED: "must be false to be structural",
    _EITHER: "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
    "x-kubernetes-validations": "must be empty to be structural",
}
_MISSING_TYPE = {
    "root": "must not be empty at the root",
    "property": "must not be empty for specified object fields",
    "items": "must not be empty for specified array items",
    "values": "must not be empty for specified object fields",
}


def unreadable_schema(schema: Object) -> str:
    """Return why upstream cannot read a schema as structural, "" when it can."""
    for name, word in _UNREADABLE.items():
        if schema.get(name) if name != "additionalItems" else schema.get(name) is not None:
            return f"OpenAPIV3Schema '{word}' is not supported"
    if schema.get(_PRESERVES) is False:
        return f"internal error: '{_PRESERVES}' must be true or undefined"
    if isinstance(schema.get("items"), list) and schema["items"]:
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    inner = (part for part, _ in nested(schema, ""))
    below = (part for part, _, _ in children(schema, ""))
    return next(filter(None, map(unreadable_schema, [*inner, *below])), "")


def mentions(schema: Object, *names: str) -> bool:
    """Return whether a schema, or one below it, says anything under these names."""
    if any(schema.get(name) not in (None, False, []) for name in names):
        return True
    inner = (part for part, _ in nested(schema, ""))
    below = (part for part, _, _ in children(schema, ""))
    return any(mentions(part, *names) for part in [*inner, *below])


def children(schema: Object, path: str) -> Iterator[tuple[Object, str, str]]:
    """Yield (schema, path, what it is) of what a schema specifies directly: property, items, values."""
    for name in sorted(schema.get("properties") or {}):
        yield schema["properties"][name], f"{path}.properties[{name}]", "property"
    items, others = schema.get("items"), schema.get("additionalProperties")
    if isinstance(items, dict):
        yield items, f"{path}.items", "items"
    if isinstance(others, dict):
        yield others, f"{path}.additionalProperties", "values"


def nested(schema: Object, path: str) -> Iterator[tuple[Object, str]]:
    """Yield (schema, path) of what stands in a schema's junctors."""
    for name in _JUNCTORS:
        for index, part in enumerate(schema.get(name) or ()):
            yield part, f"{path}.{name}[{index}]"
    if isinstance(schema.get("not"), dict):
        yield schema["not"], f"{path}.not"


def structure_errors(schema: Object, path: str) -> Errors:
    """Return why the schema of a whole resource is not structural, in upstream's order: that of the texts."""
    return sorted([*_spine(schema, path, "root"), *_completeness(schema, path, schema, path)], key=str)


def _spine(schema: Object, path: str, role: str) -> Errors:
    """Check a schema that is outside of all junctors, and those below it."""
    errors: Errors = []
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        errors.append(FieldError.required(f"{path}.items", "must be specified"))
    for inner, where, what in children(schema, path):
        errors += _spine(inner, where, what)
    if role == "root" and schema.get("additionalProperties") is not None:
        errors.append(FieldError.forbidden(f"{path}.additionalProperties", "must not be used at the root"))
    errors += _extension_errors(schema, path)
    errors += _restrictions(schema, path, skip_any=_is_either(schema), skip_all=_begins_with_either(schema))
    errors += _type_errors(schema, path, role)
    embedded = bool(schema.get(_EMBEDDED))
    properties = schema.get("properties") or {}
    if role == "root" or embedded:
        for name in ("kind", "apiVersion"):
            if name in properties and properties[name].get("type") != "string":
                where = f"{path}.properties[{name}].type"
                errors.append(FieldError.invalid(where, properties[name].get("type") or "", "must be string"))
        if "metadata" in properties:
            errors += _metadata_errors(properties["metadata"], f"{path}.properties[metadata]", role)
    if embedded and not schema.get(_PRESERVES) and not properties:
        detail = (
            "must not be empty if x-kubernetes-embedded-resource is true without "
            "x-kubernetes-preserve-unknown-fields"
        )
        errors.append(FieldError.required(f"{path}.properties", detail))
    return errors


def _extension_errors(schema: Object, path: str) -> Errors:
    errors: Errors = []
    if schema.get(_EITHER):
        for name in (_PRESERVES, _EMBEDDED):
            if schema.get(name):
                detail = "must be false if x-kubernetes-int-or-string is true"
                errors.append(FieldError.invalid(f"{path}.{name}", True, detail))
    if schema.get(_EMBEDDED) and schema.get("additionalProperties") is not None:
        detail = "must not be used if x-kubernetes-embedded-resource is set"
        errors.append(FieldError.forbidden(f"{path}.additionalProperties", detail))
    return errors


def _type_errors(schema: Object, path: str, role: str) -> Errors:
    type, where = schema.get("type") or "", f"{path}.type"
    errors: Errors = []
    if schema.get(_EMBEDDED) and type != "object":
        detail = "must be object if x-kubernetes-embedded-resource is true"
        errors.append(FieldError.invalid(where, type, detail) if type else FieldError.required(where, detail))
    elif not type and not schema.get(_EITHER) and not schema.get(_PRESERVES):
        errors.append(FieldError.required(where, _MISSING_TYPE[role]))
    if role == "root" and type and type != "object":
        errors.append(FieldError.invalid(where, type, "must be object at the root"))
    return errors


def _metadata_errors(metadata: Object, path: str, role: str) -> Errors:
    errors: Errors = []
    if metadata.get("type") != "object":
        errors.append(FieldError.invalid(f"{path}.type", metadata.get("type") or "", "must be object"))
    if role == "root":
        names = set(metadata.get("properties") or {})
        said = {key for key, value in metadata.items() if _says(key, value)}
        if said - {"type", "default", "properties"} or not names <= _METADATA_PROPERTIES:
            detail = (
                "must not specify anything other than name and generateName, but metadata is implicitly "
                "specified"
            )
            errors.append(FieldError.forbidden(path, detail))
    return errors


def _says(key: str, value: Json) -> bool:
    """Whether a schema says something under a key, as numbers and what upstream has pointers to always do."""
    if isinstance(value, bool):
        return value or key == "default"
    return value is not None and (bool(value) or isinstance(value, int | float) or key in _POINTERS)


# --- junctors


def _is_either(schema: Object) -> bool:
    """Whether anyOf says "integer or string", the one pair of types that may stand there."""
    return bool(schema.get("anyOf") == _INT_OR_STRING)


def _begins_with_either(schema: Object) -> bool:
    parts: list[Object] = schema.get("allOf") or []
    return bool(parts) and _is_either(parts[0])


def _restrictions(schema: Object, path: str, *, skip_any: bool, skip_all: bool) -> Errors:
    errors: Errors = []
    for inner, where in nested(schema, path):
        if skip_any and where.startswith(f"{path}.anyOf["):
            continue
        first = skip_all and where == f"{path}.allOf[0]"
        errors += _inside(inner, where, skip_any=first)
    pattern = schema.get("pattern")
    if pattern:
        try:
            compiled(pattern)
        except PatternError as error:
            detail = f"must be a valid regular expression, but isn't: {error}"
            errors.append(FieldError.invalid(f"{path}.pattern", pattern, detail))
    return errors


def _inside(schema: Object, path: str, *, skip_any: bool = False) -> Errors:
    """Check a schema below a junctor, which may not specify anything."""
    errors = _restrictions(schema, path, skip_any=skip_any, skip_all=False)
    items = schema.get("items")
    if isinstance(items, dict):
        errors += _inside(items, f"{path}.items")
    properties = schema.get("properties") or {}
    for name in sorted(properties):
        errors += _inside(properties[name], f"{path}.properties[{name}]")
    for name, detail in _FORBIDDEN_INSIDE.items():
        if _says(name, schema.get(name)):
            errors.append(FieldError.forbidden(f"{path}.{name}", detail))
    if "metadata" in properties:
        detail = "must not be specified in a nested context"
        errors.append(FieldError.forbidden(f"{path}.properties[metadata]", detail))
    return errors


def _completeness(schema: Object, path: str, outer: Object | None, outer_path: str) -> Errors:
    """Check that what the root's junctors restrict is specified outside; upstream looks at no others."""
    errors: Errors = []
    for inner, where in nested(schema, path):
        errors += _complete(inner, where, outer, outer_path)
    return errors


def _complete(schema: Object, path: str, outer: Object | None, outer_path: str) -> Errors:
    if outer is None:
        return [FieldError.required(outer_path, f"because it is defined in {path}")]
    errors = _completeness(schema, path, outer, outer_path)
    if isinstance(schema.get("items"), dict):
        items = outer.get("items")
        specified = items if isinstance(items, dict) else None
        errors += _complete(schema["items"], f"{path}.items", specified, f"{outer_path}.items")
    for name in sorted(schema.get("properties") or {}):
        where, outside = f"{path}.properties[{name}]", f"{outer_path}.properties[{name}]"
        specified = (outer.get("properties") or {}).get(name)
        errors += _complete(schema["properties"][name], where, specified, outside)
    return errors
