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

_Read = Callable[[Object], Json]


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


def _text(name: str) -> _Read:
    return lambda schema: schema.get(name) or ""


def _flag(name: str) -> _Read:
    return lambda schema: bool(schema.get(name))


def _plain(name: str) -> _Read:
    return lambda schema: schema.get(name)


def _filled(name: str) -> _Read:
    return lambda schema: schema.get(name) or None


def _one(name: str) -> _Read:
    return lambda schema: shown_schema(schema.get(name))


def _list(name: str) -> _Read:
    return lambda schema: [shown_schema(part) for part in schema.get(name) or ()] or None


def _map(name: str) -> _Read:
    return lambda schema: {key: shown_schema(part) for key, part in (schema.get(name) or {}).items()} or None


def _or_bool(name: str) -> _Read:
    def read(schema: Object) -> Json:
        value = schema.get(name)
        if value is None:
            return None
        if isinstance(value, bool):
            return {"Allows": value, "Schema": None}
        return {"Allows": True, "Schema": shown_schema(value)}

    return read


def _items(schema: Object) -> Json:
    value = schema.get("items")
    if value is None:
        return None
    if isinstance(value, list):
        return {"Schema": None, "JSONSchemas": [shown_schema(part) for part in value]}
    return {"Schema": shown_schema(value), "JSONSchemas": None}


def _documentation(schema: Object) -> Json:
    value = schema.get("externalDocs")
    if not isinstance(value, dict):
        return None
    return {"Description": value.get("description") or "", "URL": value.get("url") or ""}


def _rules(schema: Object) -> Json:
    return [internal_rule(rule) for rule in schema.get("x-kubernetes-validations") or ()] or None


_SCHEMA: tuple[tuple[str, _Read], ...] = (
    ("ID", _text("id")),
    ("Schema", _text("$schema")),
    ("Ref", _plain("$ref")),
    ("Description", _text("description")),
    ("Type", _text("type")),
    ("Nullable", _flag("nullable")),
    ("Format", _text("format")),
    ("Title", _text("title")),
    ("Default", _plain("default")),
    ("Maximum", _plain("maximum")),
    ("ExclusiveMaximum", _flag("exclusiveMaximum")),
    ("Minimum", _plain("minimum")),
    ("ExclusiveMinimum", _flag("exclusiveMinimum")),
    ("MaxLength", _plain("maxLength")),
    ("MinLength", _plain("minLength")),
    ("Pattern", _text("pattern")),
    ("MaxItems", _plain("maxItems")),
    ("MinItems", _plain("minItems")),
    ("UniqueItems", _flag("uniqueItems")),
    ("MultipleOf", _plain("multipleOf")),
    ("Enum", _filled("enum")),
    ("MaxProperties", _plain("maxProperties")),
    ("MinProperties", _plain("minProperties")),
    ("Required", _filled("required")),
    ("Items", _items),
    ("AllOf", _list("allOf")),
    ("OneOf", _list("oneOf")),
    ("AnyOf", _list("anyOf")),
    ("Not", _one("not")),
    ("Properties", _map("properties")),
    ("AdditionalProperties", _or_bool("additionalProperties")),
    ("PatternProperties", _map("patternProperties")),
    ("Dependencies", _filled("dependencies")),
    ("AdditionalItems", _or_bool("additionalItems")),
    ("Definitions", _map("definitions")),
    ("ExternalDocs", _documentation),
    ("Example", _plain("example")),
    ("XPreserveUnknownFields", _plain("x-kubernetes-preserve-unknown-fields")),
    ("XEmbeddedResource", _flag("x-kubernetes-embedded-resource")),
    ("XIntOrString", _flag("x-kubernetes-int-or-string")),
    ("XListMapKeys", _filled("x-kubernetes-list-map-keys")),
    ("XListType", _plain("x-kubernetes-list-type")),
    ("XMapType", _plain("x-kubernetes-map-type")),
    ("XValidations", _rules),
)


def shown_schema(schema: Json) -> Json:
    """Return a schema as upstream prints it: every field, in the order of its type."""
    return {name: read(schema) for name, read in _SCHEMA} if isinstance(schema, dict) else None


def fields_set(schema: Object) -> list[str]:
    """Return the names of the internal fields that a schema sets, in their order."""
    return [name for name, read in _SCHEMA if read(schema) not in (None, "", False)]
