"""Schemas as upstream prints them in its errors: all fields of its internal form, in their order."""

from __future__ import annotations

from collections.abc import Callable

from podium.machinery.errors import Json, Object

_Read = Callable[[Object, str], Json]


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
    return shown_items(schema.get(key))


def shown_items(value: Json) -> Json:
    """Return what a schema says of the items of lists as upstream prints it."""
    if value is None:
        return None
    if isinstance(value, list):
        return {"Schema": None, "JSONSchemas": [shown_schema(part) for part in value]}
    return {"Schema": shown_schema(value), "JSONSchemas": None}


def _dependencies(schema: Object, key: str) -> Json:
    return {
        name: {"Schema": None, "Property": value}
        if isinstance(value, list)
        else {"Schema": shown_schema(value), "Property": None}
        for name, value in (schema.get(key) or {}).items()
    } or None


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
    ("Dependencies", "dependencies", _dependencies),
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
    """Whether Go has something else there than a type's zero value: it has numbers behind pointers."""
    return value is not None and value is not False and value != ""


def internal_rule(rule: Object) -> Json:
    """Return a rule as upstream prints it: its internal form, with all of its fields."""
    return {
        "Rule": rule.get("rule") or "",
        "Message": rule.get("message") or "",
        "MessageExpression": rule.get("messageExpression") or "",
        "Reason": rule.get("reason"),
        "FieldPath": rule.get("fieldPath") or "",
        "OptionalOldSelf": rule.get("optionalOldSelf"),
    }
