"""Upstream's internal form of definitions, which shows in its errors.

There, what all versions have in common stands once in the spec, not in the versions: errors speak of
`spec.validation` and `spec.subresources`, and print versions without them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from podium.machinery.errors import Json, Object
from podium.machinery.structural.rule_definitions import internal_rule
from podium.resources.checks import objects
from podium.resources.defaulting import given

_PARTS = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")

_Read = Callable[[Object, str], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A spec in internal form: `shared` parts by their v1 names, and versions without them."""

    shared: Object
    versions: list[Object]


def hub(spec: Object) -> Hub:
    versions = objects(spec.get("versions"))
    shared: Object = {}
    for part in _PARTS:
        values = [version.get(part) or None for version in versions]
        if values and all(value == values[0] for value in values):
            shared[part] = values[0]
    rest = [{key: value for key, value in version.items() if key not in shared} for version in versions]
    return Hub(shared=shared, versions=rest)


def shown_versions(versions: list[Object]) -> list[Object]:
    """Return the versions of a hub as upstream prints them."""
    return [_version(version) for version in versions]


def _version(version: Object) -> Object:
    schema = given(version, "schema")
    return {
        "Name": version.get("name") or "",
        "Served": bool(version.get("served")),
        "Storage": bool(version.get("storage")),
        "Deprecated": bool(version.get("deprecated")),
        "DeprecationWarning": version.get("deprecationWarning"),
        "Schema": None
        if schema is None
        else {"OpenAPIV3Schema": shown_schema(given(schema, "openAPIV3Schema"))},
        "Subresources": _subresources(given(version, "subresources")),
        "AdditionalPrinterColumns": [_column(c) for c in version.get("additionalPrinterColumns") or ()]
        or None,
        "SelectableFields": [
            {"JSONPath": field.get("jsonPath") or ""} for field in version.get("selectableFields") or ()
        ]
        or None,
    }


def _subresources(declared: Object | None) -> Json:
    if declared is None:
        return None
    scale = given(declared, "scale")
    return {
        "Status": {} if declared.get("status") is not None else None,
        "Scale": None
        if scale is None
        else {
            "SpecReplicasPath": scale.get("specReplicasPath") or "",
            "StatusReplicasPath": scale.get("statusReplicasPath") or "",
            "LabelSelectorPath": scale.get("labelSelectorPath"),
        },
    }


def _column(column: Object) -> Object:
    return {
        "Name": column.get("name") or "",
        "Type": column.get("type") or "",
        "Format": column.get("format") or "",
        "Description": column.get("description") or "",
        "Priority": column.get("priority") or 0,
        "JSONPath": column.get("jsonPath") or "",
    }


# --- schemas


def _text(schema: Object, key: str) -> Json:
    return schema.get(key) or ""


def _flag(schema: Object, key: str) -> Json:
    return bool(schema.get(key))


def _plain(schema: Object, key: str) -> Json:
    return schema.get(key)


def _filled(schema: Object, key: str) -> Json:
    return schema.get(key) or None


def _one(schema: Object, key: str) -> Json:
    return shown_schema(schema.get(key))


def _list(schema: Object, key: str) -> Json:
    return [shown_schema(part) for part in schema.get(key) or ()] or None


def _map(schema: Object, key: str) -> Json:
    return {name: shown_schema(part) for name, part in (schema.get(key) or {}).items()} or None


def _or_bool(schema: Object, key: str) -> Json:
    value = schema.get(key)
    if value is None:
        return None
    if isinstance(value, bool):
        return {"Allows": value, "Schema": None}
    return {"Allows": True, "Schema": shown_schema(value)}


def _items(schema: Object, key: str) -> Json:
    value = schema.get(key)
    if value is None:
        return None
    if isinstance(value, list):
        return {"Schema": None, "JSONSchemas": [shown_schema(part) for part in value]}
    return {"Schema": shown_schema(value), "JSONSchemas": None}


def _documentation(schema: Object, key: str) -> Json:
    value = schema.get(key)
    if not isinstance(value, dict):
        return None
    return {"Description": value.get("description") or "", "URL": value.get("url") or ""}


def _rules(schema: Object, key: str) -> Json:
    return [internal_rule(rule) for rule in schema.get(key) or ()] or None


_SCHEMA: tuple[tuple[str, str, _Read], ...] = (
    ("ID", "id", _text),
    ("Schema", "$schema", _text),
    ("Ref", "$ref", _plain),
    ("Description", "description", _text),
    ("Type", "type", _text),
    ("Nullable", "nullable", _flag),
    ("Format", "format", _text),
    ("Title", "title", _text),
    ("Default", "default", _plain),
    ("Maximum", "maximum", _plain),
    ("ExclusiveMaximum", "exclusiveMaximum", _flag),
    ("Minimum", "minimum", _plain),
    ("ExclusiveMinimum", "exclusiveMinimum", _flag),
    ("MaxLength", "maxLength", _plain),
    ("MinLength", "minLength", _plain),
    ("Pattern", "pattern", _text),
    ("MaxItems", "maxItems", _plain),
    ("MinItems", "minItems", _plain),
    ("UniqueItems", "uniqueItems", _flag),
    ("MultipleOf", "multipleOf", _plain),
    ("Enum", "enum", _filled),
    ("MaxProperties", "maxProperties", _plain),
    ("MinProperties", "minProperties", _plain),
    ("Required", "required", _filled),
    ("Items", "items", _items),
    ("AllOf", "allOf", _list),
    ("OneOf", "oneOf", _list),
    ("AnyOf", "anyOf", _list),
    ("Not", "not", _one),
    ("Properties", "properties", _map),
    ("AdditionalProperties", "additionalProperties", _or_bool),
    ("PatternProperties", "patternProperties", _map),
    ("Dependencies", "dependencies", _filled),
    ("AdditionalItems", "additionalItems", _or_bool),
    ("Definitions", "definitions", _map),
    ("ExternalDocs", "externalDocs", _documentation),
    ("Example", "example", _plain),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", _plain),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", _flag),
    ("XIntOrString", "x-kubernetes-int-or-string", _flag),
    ("XListMapKeys", "x-kubernetes-list-map-keys", _filled),
    ("XListType", "x-kubernetes-list-type", _plain),
    ("XMapType", "x-kubernetes-map-type", _plain),
    ("XValidations", "x-kubernetes-validations", _rules),
)


def shown_schema(schema: Json) -> Json:
    """Return a schema as upstream prints it: every field, in the order of its type."""
    return {name: read(schema, key) for name, key, read in _SCHEMA} if isinstance(schema, dict) else None


def fields_set(schema: Object) -> list[str]:
    """Return the names of the internal fields that a schema sets, in their order."""
    return [name for name, key, _ in _SCHEMA if _is_set(schema.get(key))]


def _is_set(value: Json) -> bool:
    """Whether Go has something else there than a type's zero value; numbers stand behind pointers."""
    return value is not None and value is not False and (bool(value) or isinstance(value, int | float))
