"""Whether the schema of a definition is sound: upstream's refusals, in its words.

What makes it structural is in `structure.py`, defaults and rules are in
`default_definitions.py` and `rule_definitions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.structural.default_definitions import default_errors
from podium.machinery.structural.internal import shown_items
from podium.machinery.structural.pruning import OBJECT_FIELDS
from podium.machinery.structural.rule_definitions import field_errors, rule_errors
from podium.machinery.structural.structure import structure_errors, unreadable_schema

Errors = list[FieldError]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_LIST_TYPES = ("atomic", "set", "map")
_MAP_TYPES = ("atomic", "granular")
_UNSUPPORTED: tuple[tuple[str, Callable[[Json], bool]], ...] = (
    ("id", bool),
    ("additionalItems", lambda value: value is not None),
    ("patternProperties", bool),
    ("definitions", bool),
    ("dependencies", lambda value: value is not None),
    ("$ref", lambda value: value is not None),
)
"""What no schema may say, and when it does: upstream has some of it behind pointers."""


def schema_errors(schema: Object, path: str, *, unchanged: bool = False, structural: bool = True) -> Errors:
    """Return what is wrong with the schema of a custom resource at `path`, its rules included.

    `unchanged`: the definition had the schema before, so that its rules may cost what they cost. What is not
    `structural` has neither defaults nor rules.
    """
    walk = _Walk()
    walk.node(schema, path, _Place(root=True))
    if not structural or unreadable_schema(schema):
        return walk.errors
    basic = structure_errors(schema, path) or default_errors(schema, path)
    if basic:
        return basic + walk.errors
    return walk.errors + rule_errors(schema, path, walk.faulty, unchanged=unchanged)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What is known of a schema from those above it. `no_default` says why there must be none, if so."""

    root: bool = False
    of_metadata: bool = False
    no_default: str = ""

    def property(self, name: str, schema: Object) -> _Place:
        if name not in OBJECT_FIELDS or not (self.root or schema.get("x-kubernetes-embedded-resource")):
            return replace(self, root=False)
        reason = f"must not be set in top-level {name}" if self.root else self.no_default
        return _Place(of_metadata=True, no_default=reason)

    def values(self) -> _Place:
        reason = "must not be set inside additionalProperties applying to object metadata"
        return _Place(
            of_metadata=self.of_metadata, no_default=reason if self.of_metadata else self.no_default
        )


@dataclass(slots=True)
class _Walk:
    """Checks what upstream's API cannot express at all, and the extensions, everywhere in a schema."""

    errors: Errors = field(default_factory=list)
    _faulty: set[str] = field(default_factory=set)

    def faulty(self, _schema: Object, path: str) -> bool:
        """Whether there are faults in the schema at a path, or below it."""
        return path in self._faulty

    def node(self, schema: Object, path: str, place: _Place) -> None:
        before = len(self.errors)
        self.errors += _unsupported(schema, path, place)
        others = schema.get("additionalProperties")
        if others is not None and others is not True and schema.get("properties"):
            detail = "additionalProperties and properties are mutual exclusive"
            self.errors.append(FieldError.forbidden(f"{path}.additionalProperties", detail))
        self.below(others, f"{path}.additionalProperties", place.values())
        for name in sorted(schema.get("properties") or {}):
            inner = schema["properties"][name]
            self.below(inner, f"{path}.properties[{name}]", place.property(name, schema))
        inside = replace(place, root=False)
        self.below(schema.get("not"), f"{path}.not", inside)
        for junctor in ("allOf", "oneOf", "anyOf"):
            for index, part in enumerate(schema.get(junctor) or ()):
                self.below(part, f"{path}.{junctor}[{index}]", inside)
        for name in sorted(schema.get("definitions") or {}):
            self.below(schema["definitions"][name], f"{path}.definitions[{name}]", inside)
        items = schema.get("items")
        self.below(items, f"{path}.items", inside)
        if isinstance(items, list):
            for index, part in enumerate(items):
                self.below(part, f"{path}.items[{index}]", inside)
        for name in sorted(schema.get("dependencies") or {}):
            self.below(schema["dependencies"][name], f"{path}.dependencies[{name}]", inside)
        if schema.get("x-kubernetes-preserve-unknown-fields") is False:
            where = f"{path}.x-kubernetes-preserve-unknown-fields"
            self.errors.append(FieldError.invalid(where, False, "must be true or undefined"))
        self.errors += _map_type_errors(schema, path) + _list_type_errors(schema, path)
        self.errors += field_errors(schema, path)
        if len(self.errors) > before:
            self._faulty.add(path)

    def below(self, schema: Json, path: str, place: _Place) -> None:
        if isinstance(schema, dict):
            self.node(schema, path, place)


def _unsupported(schema: Object, path: str, place: _Place) -> Errors:
    errors: Errors = []
    type = schema.get("type") or ""
    if type and type not in TYPES:
        errors.append(FieldError.not_supported(f"{path}.type", type, TYPES))
    if place.no_default and schema.get("default") is not None:
        errors.append(FieldError.forbidden(f"{path}.default", place.no_default))
    for name, present in _UNSUPPORTED:
        if present(schema.get(name)):
            errors.append(FieldError.forbidden(f"{path}.{name}", f"{name} is not supported"))
    if type == "null":
        detail = "type cannot be set to null, use nullable as an alternative"
        errors.append(FieldError.forbidden(f"{path}.type", detail))
    if isinstance(schema.get("items"), list):
        detail = "items must be a schema object and not an array"
        errors.append(FieldError.forbidden(f"{path}.items", detail))
    if place.of_metadata and schema.get("x-kubernetes-embedded-resource"):
        where = f"{path}.x-kubernetes-embedded-resource"
        errors.append(FieldError.forbidden(where, "must not be used inside of resource meta"))
    if schema.get("uniqueItems"):
        detail = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        errors.append(FieldError.forbidden(f"{path}.uniqueItems", detail))
    return errors


def _map_type_errors(schema: Object, path: str) -> Errors:
    map_type = schema.get("x-kubernetes-map-type")
    if map_type is None:
        return []
    errors: Errors = []
    if schema.get("type") != "object":
        errors.append(_wrong_type(schema, path, "must be object if x-kubernetes-map-type is specified"))
    if map_type not in _MAP_TYPES:
        errors.append(FieldError.not_supported(f"{path}.x-kubernetes-map-type", map_type, _MAP_TYPES))
    return errors


def _wrong_type(schema: Object, path: str, detail: str) -> FieldError:
    where, type = f"{path}.type", schema.get("type") or ""
    return FieldError.invalid(where, type, detail) if type else FieldError.required(where, detail)


def _list_type_errors(schema: Object, path: str) -> Errors:
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    items = schema.get("items")
    errors: Errors = []
    if list_type is not None and schema.get("type") != "array":
        errors.append(_wrong_type(schema, path, "must be array if x-kubernetes-list-type is specified"))
    elif list_type == "set" and isinstance(items, dict):
        errors += _set_errors(items, f"{path}.items")
    where = f"{path}.x-kubernetes-list-type"
    if list_type is not None and list_type not in _LIST_TYPES:
        errors.append(FieldError.not_supported(where, list_type, _LIST_TYPES))
    if keys and list_type != "map":
        detail = "must be map if x-kubernetes-list-map-keys is non-empty"
        if list_type is None:
            errors.append(FieldError.required(where, detail))
        else:
            errors.append(FieldError.invalid(where, list_type, detail))
    if list_type == "map":
        errors += _map_list_errors(items, keys, path)
    if list_type in ("map", "set") and isinstance(items, dict):
        if items.get("nullable"):
            detail = f"cannot be nullable when x-kubernetes-list-type is {list_type}"
            errors.append(FieldError.forbidden(f"{path}.items.nullable", detail))
        if list_type == "map":
            errors += _key_errors(items, keys, f"{path}.items")
    return errors


def _map_list_errors(items: Json, keys: list[str], path: str) -> Errors:
    errors: Errors = []
    where = f"{path}.x-kubernetes-list-map-keys"
    if not keys:
        errors.append(FieldError.required(where, "must not be empty if x-kubernetes-list-type is map"))
    if items is None:
        detail = "must have a schema if x-kubernetes-list-type is map"
        return [*errors, FieldError.required(f"{path}.items", detail)]
    if not isinstance(items, dict):
        detail = "must only have a single schema if x-kubernetes-list-type is map"
        return [*errors, FieldError.invalid(f"{path}.items", shown_items(items), detail)]
    if items.get("type") != "object":
        detail = "must be object if parent array's x-kubernetes-list-type is map"
        return [*errors, FieldError.invalid(f"{path}.items.type", items.get("type") or "", detail)]
    properties = items.get("properties") or {}
    for index, key in enumerate(keys):
        if key not in properties:
            detail = "entries must all be names of item properties"
            errors.append(FieldError.invalid(where, keys, detail))
        elif properties[key].get("type") in ("array", "object"):
            # Upstream shows the type of the items, not that of the key.
            detail = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            errors.append(FieldError.invalid(f"{path}.items.properties[{key}].type", "object", detail))
        if key in keys[:index]:
            errors.append(FieldError.invalid(where, keys, "must not contain duplicate entries"))
    return errors


def _key_errors(items: Object, keys: list[str], path: str) -> Errors:
    """Check that the items of a list of type map have all of their keys."""
    errors: Errors = []
    for key in keys:
        property = (items.get("properties") or {}).get(key)
        if property is None:
            continue
        where = f"{path}.properties[{key}]"
        if key not in (items.get("required") or ()) and property.get("default") is None:
            detail = (
                "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required "
                "property"
            )
            errors.append(FieldError.required(f"{where}.default", detail))
        if property.get("nullable"):
            detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            errors.append(FieldError.forbidden(f"{where}.nullable", detail))
    return errors


def _set_errors(items: Object, path: str) -> Errors:
    """Check that the items of a set are compared as a whole. Upstream shows their list type in both cases."""
    list_type = items.get("x-kubernetes-list-type")
    detail = "must be atomic as item of a list with x-kubernetes-list-type=set"
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        return [FieldError.invalid(f"{path}.x-kubernetes-map-type", list_type, detail)]
    if items.get("type") == "array" and list_type not in (None, "atomic"):
        return [FieldError.invalid(f"{path}.x-kubernetes-list-type", list_type, detail)]
    return []
