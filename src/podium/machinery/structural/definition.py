"""Whether the schema of a definition is sound: upstream's refusals, in its words.

What makes it structural is in `structure.py`, rules are in `rule_definitions.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.structural.pruning import prune
from podium.machinery.structural.rule_definitions import field_errors, rule_errors
from podium.machinery.structural.rules import ROOT, Budget, default_errors
from podium.machinery.structural.structure import children, nested, structure_errors
from podium.machinery.structural.values import Validator

Errors = list[FieldError]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_LIST_TYPES = ("atomic", "map", "set")
_MAP_TYPES = ("atomic", "granular")
_SCALARS = ("boolean", "integer", "number", "string")
_UNSUPPORTED = ("$ref", "definitions", "dependencies", "id", "additionalItems", "patternProperties")


def schema_errors(schema: Object, path: str, *, unchanged: bool = False) -> Errors:
    """Return what is wrong with the schema of a custom resource at `path`, its rules included.

    `unchanged`: the definition had the schema before, so that its rules may cost what they cost.
    """
    own = [*_node(schema, path), *_forbidden_defaults(schema, path)]
    basic = structure_errors(schema, path) or list(_default_errors(schema, path, Budget(), whole=True))
    if basic:
        return basic + own
    faulty = (lambda part, where: bool(_node(part, where))) if own else _sound
    return own + rule_errors(schema, path, faulty, unchanged=unchanged)


def _sound(_schema: Object, _path: str) -> bool:
    return False


def _node(schema: Object, path: str) -> Errors:
    """Check what upstream's API cannot express at all, and the extensions, here and below."""
    errors: Errors = []
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(FieldError.forbidden(f"{path}.uniqueItems", detail))
    others = schema.get("additionalProperties")
    if others is not None and others is not True and schema.get("properties"):
        detail = "additionalProperties and properties are mutual exclusive"
        errors.append(FieldError.forbidden(f"{path}.additionalProperties", detail))
    for name in _UNSUPPORTED:
        if schema.get(name):
            errors.append(FieldError.forbidden(f"{path}.{name}", f"{name} is not supported"))
    if isinstance(schema.get("items"), list):
        detail = "items must be a schema object and not an array"
        errors.append(FieldError.forbidden(f"{path}.items", detail))
    errors += _type_errors(schema, path)
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        where = f"{path}.x-kubernetes-preserve-unknown-fields"
        errors.append(FieldError.invalid(where, False, "must be true or undefined"))
    errors += _map_type_errors(schema, path) + _list_type_errors(schema, path)
    errors += field_errors(schema, path)
    for inner, where, _ in children(schema, path):
        errors += _node(inner, where)
    for inner, where in nested(schema, path):
        errors += _node(inner, where)
    return errors


def _type_errors(schema: Object, path: str) -> Errors:
    type = schema.get("type") or ""
    if type == "null":
        detail = "type cannot be set to null, use nullable as an alternative"
        return [FieldError.forbidden(f"{path}.type", detail)]
    if type and type not in TYPES:
        return [FieldError.not_supported(f"{path}.type", type, TYPES)]
    return []


def _map_type_errors(schema: Object, path: str) -> Errors:
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is None:
        return []
    errors: Errors = []
    if schema.get("type") != "object":
        detail = "must be object if x-kubernetes-map-type is specified"
        errors.append(FieldError.invalid(f"{path}.type", schema.get("type") or "", detail))
    if map_type not in _MAP_TYPES:
        errors.append(FieldError.not_supported(f"{path}.x-kubernetes-map-type", map_type, _MAP_TYPES))
    return errors


def _list_type_errors(schema: Object, path: str) -> Errors:
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    errors: Errors = []
    if list_type is not None and schema.get("type") != "array":
        type = schema.get("type") or ""
        detail = "must be array if x-kubernetes-list-type is specified"
        if not type:
            errors.append(FieldError.required(f"{path}.type", detail))
        else:
            errors.append(FieldError.invalid(f"{path}.type", type, detail))
    where = f"{path}.x-kubernetes-list-type"
    if list_type is not None and list_type not in _LIST_TYPES:
        errors.append(FieldError.not_supported(where, list_type, _LIST_TYPES))
    if keys and list_type != "map":
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        if list_type is None:
            errors.append(FieldError.required(where, detail))
        else:
            errors.append(FieldError.invalid(where, list_type, detail))
    items = schema.get("items")
    if list_type == "map":
        errors += _map_list_errors(items if isinstance(items, dict) else None, keys, path)
    elif list_type == "set" and isinstance(items, dict):
        errors += _set_errors(items, f"{path}.items")
    return errors


def _map_list_errors(items: Object | None, keys: list[str], path: str) -> Errors:
    errors: Errors = []
    if not keys:
        detail = "must not be empty if x-kubernetes-list-type is map"
        errors.append(FieldError.required(f"{path}.x-kubernetes-list-map-keys", detail))
    if items is None:
        detail = "must have a schema if x-kubernetes-list-type is map"
        return [*errors, FieldError.required(f"{path}.items", detail)]
    if items.get("type") != "object":
        detail = "must be object if parent array's x-kubernetes-list-type is map"
        errors.append(FieldError.invalid(f"{path}.items.type", items.get("type") or "", detail))
    if items.get("nullable"):
        detail = "cannot be nullable when x-kubernetes-list-type is map"
        errors.append(FieldError.forbidden(f"{path}.items.nullable", detail))
    properties = items.get("properties") or {}
    required = items.get("required") or ()
    for key in keys:
        where = f"{path}.items.properties[{key}]"
        property = properties.get(key)
        if property is None:
            detail = "entries must all be names of item properties"
            errors.append(FieldError.invalid(f"{path}.x-kubernetes-list-map-keys", keys, detail))
            continue
        if property.get("type") not in _SCALARS and not property.get("x-kubernetes-int-or-string"):
            detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            errors.append(FieldError.invalid(f"{where}.type", property.get("type") or "", detail))
        if key not in required and property.get("default") is None:
            detail = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required "
                "property"
            )
            errors.append(FieldError.required(f"{where}.default", detail))
        if property.get("nullable"):
            detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            errors.append(FieldError.forbidden(f"{where}.nullable", detail))
    if len(set(keys)) != len(keys):
        detail = "must not contain duplicate entries"
        errors.append(FieldError.invalid(f"{path}.x-kubernetes-list-map-keys", keys, detail))
    return errors


def _set_errors(items: Object, path: str) -> Errors:
    errors: Errors = []
    if items.get("nullable"):
        detail = "cannot be nullable when x-kubernetes-list-type is set"
        errors.append(FieldError.forbidden(f"{path}.nullable", detail))
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
        where, found = f"{path}.x-kubernetes-map-type", items.get("x-kubernetes-map-type")
    elif items.get("type") == "array" and items.get("x-kubernetes-list-type") not in (None, "atomic"):
        detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
        where, found = f"{path}.x-kubernetes-list-type", items.get("x-kubernetes-list-type")
    else:
        return errors
    error = FieldError.required(where, detail) if found is None else FieldError.invalid(where, found, detail)
    return [*errors, error]


# --- defaults


def _default_errors(schema: Object, path: str, budget: Budget, *, whole: bool) -> Iterator[FieldError]:
    """Check the defaults below a schema. Upstream does not look at those of a map's values."""
    default = schema.get("default")
    if default is not None and not whole:
        yield from _one_default(schema, default, f"{path}.default", budget)
    for inner, where, what in children(schema, path):
        if what != "values":
            yield from _default_errors(inner, where, budget, whole=False)


def _one_default(schema: Object, default: Json, path: str, budget: Budget) -> Iterator[FieldError]:
    holder = {"default": _copy(default)}
    if prune(holder, {"type": "object", "properties": {"default": schema}}):
        yield FieldError.invalid(path, default, "must not have unknown fields")
    # Upstream's texts speak of places below the default, its paths of those in the definition.
    errors = [
        FieldError(path if error.field == ROOT else f"{path}.{error.field}", error.reason, error.message)
        for error in Validator(schema).validate(default, "").errors
    ]
    if not errors:
        # Once as a value that stays, once as one that is new: transition rules tell the two apart.
        errors = default_errors(schema, default, path, budget)
    yield from errors


def _forbidden_defaults(schema: Object, path: str) -> Iterator[FieldError]:
    """What every object has, gets no defaults from its schema."""
    for name in ("apiVersion", "kind", "metadata"):
        inner = (schema.get("properties") or {}).get(name)
        if isinstance(inner, dict):
            yield from _each_default(
                inner, f"{path}.properties[{name}]", f"must not be set in top-level {name}"
            )


def _each_default(schema: Object, path: str, detail: str) -> Iterator[FieldError]:
    if schema.get("default") is not None:
        yield FieldError.forbidden(f"{path}.default", detail)
    for inner, where, _ in children(schema, path):
        yield from _each_default(inner, where, detail)


def _copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if isinstance(value, list) else value
