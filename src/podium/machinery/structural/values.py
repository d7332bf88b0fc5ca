"""Values against structural schemas: upstream's OpenAPI validation, with its order, its paths and its words.

An update is not blamed for what it leaves alone (ratcheting): a value that equals the one at its place
before, followed through properties and lists of type map, is taken as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import orjson

from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.regexp import PatternError, compiled
from podium.machinery.structural.formats import check_of

ABSENT: Final[Any] = object()
"""What a value is compared with where nothing stood before."""

_ROOT = "<nil>"
"""The path that upstream prints where its errors do not know theirs."""


@dataclass(slots=True)
class Outcome:
    """What one value gave: errors, and how much of it was right (which picks the best of alternatives)."""

    errors: list[FieldError] = field(default_factory=list)
    matches: int = 0

    def take(self, other: Outcome) -> None:
        self.errors += other.errors
        self.matches += other.matches


def type_of(value: Json) -> str:
    """Return the JSON type that upstream infers."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case _:
            return "object"


def same(left: Json, right: Json) -> bool:
    """Whether two JSON values are equal; unlike in Python true is not 1."""
    return bool(left == right) and (left.__class__ is right.__class__ or _alike(left, right))


def _alike(left: Json, right: Json) -> bool:
    return not isinstance(left, bool) and not isinstance(right, bool)


class Validator:
    """One schema, with those below it made when first needed."""

    def __init__(self, schema: Object) -> None:
        self._schema = schema
        self._properties: dict[str, Validator] = {}
        type = schema.get("type")
        if schema.get("x-kubernetes-int-or-string"):
            self._types: tuple[str, ...] = ("integer", "string")
        else:
            self._types = (type,) if type else ()
        self._checks: tuple[tuple[tuple[str, ...], Callable[[Json, str], list[FieldError]]], ...] = tuple(
            (kinds, check)
            for names, kinds, check in (
                (("maxLength", "minLength", "pattern"), ("string",), self._string),
                (("format",), ("string",), self._format),
                (("maximum", "minimum", "multipleOf", "type", "format"), ("integer", "number"), self._number),
            )
            if any(name in schema for name in names)
        )

    def validate(self, value: Json, path: str, old: Json = ABSENT) -> Outcome:
        """Return what is wrong with a value. `old` is what stood in its place before."""
        if old is not ABSENT and same(old, value):
            return Outcome()
        schema = self._schema
        outcome = Outcome()
        kind = type_of(value)
        if value is None:
            if self._types and not schema.get("nullable"):
                outcome.errors.append(self._wrong_type(path, ",".join(self._types), "null"))
            if "enum" in schema and not schema.get("nullable"):
                outcome.errors += self._enum(value, path)
            return outcome
        outcome.errors += self._type(value, kind, path)
        self._combinations(value, path, outcome)
        for kinds, check in self._checks:
            if kind in kinds:
                outcome.errors += check(value, path)
                outcome.matches += 1
        if kind == "array":
            self._list(value, path, old, outcome)
        if "enum" in schema:
            outcome.errors += self._enum(value, path)
        if kind == "object":
            self._object(value, path, old, outcome)
        outcome.matches += 1
        return outcome

    # --- scalars

    @staticmethod
    def _wrong_type(path: str, wanted: str, found: str) -> FieldError:
        # The place of a whole object has no name in upstream's message.
        where = f"{path} in body" if path else ""
        detail = f'{where} must be of type {wanted}: "{found}"'.lstrip()
        return FieldError.type_invalid(path or _ROOT, found, detail)

    def _type(self, value: Json, kind: str, path: str) -> list[FieldError]:
        types = self._types
        if not types or kind in types:
            return []
        if kind == "integer" and "number" in types:
            return []
        if kind == "number" and "integer" in types and math.isfinite(value) and value == int(value):
            return []
        return [self._wrong_type(path, ",".join(types), kind)]

    def _string(self, value: str, path: str) -> list[FieldError]:
        schema = self._schema
        longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
        if longest is not None and len(value) > longest:
            return [FieldError.too_long(path or _ROOT, longest)]
        if shortest is not None and len(value) < shortest:
            detail = f"{path} in body should be at least {shortest} chars long"
            return [FieldError.invalid(path or _ROOT, value, detail)]
        if pattern and not _matches(value, pattern):
            return [FieldError.invalid(path or _ROOT, value, f"{path} in body should match '{pattern}'")]
        return []

    def _format(self, value: str, path: str) -> list[FieldError]:
        format = self._schema["format"]
        check = check_of(format)
        if check is None or check(value):
            return []
        detail = f'{path} in body must be of type {format}: "{value}"'
        return [FieldError.type_invalid(path or _ROOT, value, detail)]

    def _number(self, value: float, path: str) -> list[FieldError]:
        schema = self._schema
        errors = self._range(value, path)
        factor, most, least = schema.get("multipleOf"), schema.get("maximum"), schema.get("minimum")

        def wrong(what: str) -> FieldError:
            return FieldError.invalid(path or _ROOT, value, f"{path} in body should be {what}")

        if factor is not None and not _is_multiple(value, factor):
            errors.append(wrong(f"a multiple of {_number_text(factor)}"))
        if least is not None:
            exclusive = bool(schema.get("exclusiveMinimum"))
            if value < least or (exclusive and value == least):
                words = "greater than" if exclusive else "greater than or equal to"
                errors.append(wrong(f"{words} {_number_text(least)}"))
        if most is not None:
            exclusive = bool(schema.get("exclusiveMaximum"))
            if value > most or (exclusive and value == most):
                words = "less than" if exclusive else "less than or equal to"
                errors.append(wrong(f"{words} {_number_text(most)}"))
        return errors

    def _range(self, value: float, path: str) -> list[FieldError]:
        """Whether the value fits the numeric format. Upstream's error does not know its path."""
        type, format = self._schema.get("type"), self._schema.get("format") or ""
        wanted = ""
        if type == "integer":
            if isinstance(value, float) and value != int(value):
                wanted = f"integer ({format or 'default'} format)"
            elif format == "int32" and not -(2**31) <= value < 2**31:
                wanted = "integer (int32 format)"
        elif type == "number" and format == "float" and abs(value) > 3.4028234663852886e38:
            wanted = "number (float format)"
        if not wanted:
            return []
        return [FieldError.invalid(_ROOT, "", f"Checked value must be of type {wanted} in {path}")]

    def _enum(self, value: Json, path: str) -> list[FieldError]:
        allowed = self._schema["enum"]
        if any(same(value, one) for one in allowed):
            return []
        names = [one if isinstance(one, str) else orjson.dumps(one).decode() for one in allowed]
        return [FieldError.not_supported(path or _ROOT, value, names)]

    # --- containers

    def _list(self, values: list[Json], path: str, old: Json, outcome: Outcome) -> None:
        schema = self._schema
        items = self._items
        if items is not None:
            before = _keyed(schema, old)
            for index, value in enumerate(values):
                earlier = before.get(_key(schema, value), ABSENT) if before else ABSENT
                outcome.take(items.validate(value, f"{path}[{index}]", earlier))
        least, most = schema.get("minItems"), schema.get("maxItems")
        if least is not None and len(values) < least:
            detail = f"{path} in body should have at least {least} items"
            outcome.errors.append(FieldError.invalid(path or _ROOT, len(values), detail))
        if most is not None and len(values) > most:
            outcome.errors.append(too_many(path or _ROOT, len(values), most))

    def _object(self, value: Object, path: str, old: Json, outcome: Outcome) -> None:
        schema = self._schema
        least, most = schema.get("minProperties"), schema.get("maxProperties")
        if least is not None and len(value) < least:
            detail = f"{path} in body should have at least {least} properties"
            outcome.errors.append(FieldError.invalid(path or _ROOT, len(value), detail))
            return
        if most is not None and len(value) > most:
            outcome.errors.append(too_many(path or _ROOT, len(value), most))
            return
        properties = schema.get("properties") or {}
        before = old if isinstance(old, dict) else {}
        for name in sorted(value):
            inner = self._property(name) if name in properties else self._others
            if inner is not None:
                where = f"{path}.{name}" if path else name
                outcome.take(inner.validate(value[name], where, before.get(name, ABSENT)))
        for name in schema.get("required") or ():
            if name not in value:
                outcome.errors.append(FieldError.required(f"{path}.{name}" if path else name, ""))
            else:
                outcome.matches += 1

    @cached_property
    def _items(self) -> Validator | None:
        items = self._schema.get("items")
        return Validator(items) if isinstance(items, dict) else None

    @cached_property
    def _others(self) -> Validator | None:
        others = self._schema.get("additionalProperties")
        return Validator(others) if isinstance(others, dict) else None

    def _property(self, name: str) -> Validator:
        made = self._properties.get(name)
        if made is None:
            made = self._properties[name] = Validator(self._schema["properties"][name])
        return made

    # --- alternatives

    @cached_property
    def _alternatives(self) -> dict[str, list[Validator]]:
        found = {}
        for name in ("anyOf", "oneOf", "allOf"):
            if self._schema.get(name):
                found[name] = [Validator(part) for part in self._schema[name]]
        if self._schema.get("not"):
            found["not"] = [Validator(self._schema["not"])]
        return found

    def _combinations(self, value: Json, path: str, outcome: Outcome) -> None:
        alternatives = self._alternatives
        if not alternatives:
            return

        def wrong(what: str) -> None:
            outcome.errors.append(FieldError.invalid(_ROOT, "", f'"{path}" {what}'))

        for name, parts in alternatives.items():
            results = [part.validate(value, path) for part in parts]
            valid = [result for result in results if not result.errors]
            best = max(results, key=lambda result: result.matches)
            if name == "anyOf" and not valid:
                wrong("must validate at least one schema (anyOf)")
                outcome.take(best)
            elif name == "oneOf" and len(valid) != 1:
                found = f"Found {len(valid)} valid alternatives" if valid else "Found none valid"
                wrong(f"must validate one and only one schema (oneOf). {found}")
                if not valid:
                    outcome.take(best)
            elif name == "allOf" and len(valid) != len(parts):
                for result in results:
                    outcome.take(result)
                wrong(f"must validate all the schemas (allOf){'' if valid else '. None validated'}")
            elif name == "not" and valid:
                wrong("must not validate the schema (not)")


def _matches(value: str, pattern: str) -> bool:
    try:
        return compiled(pattern).search(value) is not None
    except PatternError:
        return True  # a definition from before patterns were checked; new ones are refused


def too_many(path: str, actual: int, count_max: int) -> FieldError:
    """Upstream counts one item in the singular."""
    items = "item" if count_max == 1 else "items"
    return FieldError(path, "FieldValueTooMany", f"Too many: {actual}: must have at most {count_max} {items}")


def _is_multiple(value: float, factor: float) -> bool:
    if factor == 0:
        return False
    if isinstance(value, int) and isinstance(factor, int):
        return value % factor == 0
    quotient = value / factor
    return math.isfinite(quotient) and quotient == int(quotient)


def _number_text(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _key(schema: Object, value: Json) -> bytes:
    if not isinstance(value, dict):
        return b""
    properties = (schema.get("items") or {}).get("properties") or {}
    names = schema.get("x-kubernetes-list-map-keys") or ()
    keys = [value.get(name, (properties.get(name) or {}).get("default")) for name in names]
    return orjson.dumps(keys)


def _keyed(schema: Object, old: Json) -> dict[bytes, Json]:
    """Return the items of a list of type map as they were, by their keys; nothing for other lists."""
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(old, list):
        return {}
    return {_key(schema, item): item for item in old}


correlated = _keyed
"""Also for rules: which item of an old list stands for which of a new one."""
key_of = _key
