"""Values against structural schemas: upstream's OpenAPI validation, with its order, its paths and its words.

An update is not blamed for what it leaves alone (ratcheting): a value that equals the one at its place
before, followed through properties and lists of type map, is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import orjson

from podium.machinery.errors import FieldError, Json, Object, quoted, shown
from podium.machinery.golang import as_json, as_map
from podium.machinery.regexp import PatternError, compiled
from podium.machinery.structural.formats import check_of, is_known
from podium.machinery.structural.numbers import INT64_MAX, INT64_MIN, is_whole, number_errors
from podium.machinery.structural.numbers import ROOT as _ROOT

ABSENT: Final[Any] = object()
"""What a value is compared with where nothing stood before."""

_NUMERIC = ("integer", "number")
_GO_FORMATS = {"integer": "int64", "number": "float64"}
"""What upstream takes the format of a value for."""


@dataclass(slots=True)
class Outcome:
    """What one value gave: errors, and how much was looked at (which picks the best of alternatives)."""

    errors: list[FieldError] = field(default_factory=list)
    matches: int = 0

    def take(self, other: Outcome) -> None:
        self.add(other.errors)
        self.matches += other.matches

    def add(self, errors: Sequence[FieldError]) -> None:
        """Take errors over, but for those that say what has been said."""
        self.errors += [error for error in errors if error not in self.errors] if self.errors else errors


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
            # Upstream reads larger ones as floats.
            return "integer" if INT64_MIN <= value <= INT64_MAX else "number"
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

    def __init__(self, schema: Object, *, plain: bool = False) -> None:
        """`plain`: what may be an integer or a string is not asked to be either, as in defaults."""
        self._schema = schema
        self._plain = plain
        self._properties: dict[str, Validator] = {}
        type = schema.get("type")
        if schema.get("x-kubernetes-int-or-string") and not plain:
            self._types: tuple[str, ...] = ("integer", "string")
        else:
            self._types = (type,) if type else ()
        format = str(schema.get("format") or "")
        self._format = format if format and is_known(format, schema.get("type") or "") else ""
        self._check_format = check_of(self._format) if self._format else None
        self._checks_string = any(schema.get(name) for name in ("maxLength", "minLength", "pattern")) or (
            schema.get("maxLength") == 0
        )

    def validate(self, value: Json, path: str, old: Json = ABSENT) -> Outcome:
        """Return what is wrong with a value. `old` is what stood in its place before."""
        if old is not ABSENT and same(old, value):
            return Outcome()
        schema = self._schema
        outcome = Outcome()
        if value is None:
            if self._types and not schema.get("nullable"):
                outcome.errors.append(self._wrong_type(path, ",".join(self._types), "null"))
            else:
                outcome.matches += 1
            if schema.get("enum"):
                outcome.errors += self._enum(value, path)
            return outcome
        kind = type_of(value)
        if self._types or self._format:
            errors = self._type(value, kind, path)
            outcome.errors += errors
            outcome.matches += 1 if errors else 2
        self._combinations(value, path, outcome)
        match kind:
            case "string":
                self._string(value, path, outcome)
            case "integer" | "number":
                outcome.add(number_errors(value, schema, self._types, path))
                outcome.matches += 2
            case "array":
                self._list(value, path, old, outcome)
        if schema.get("enum"):
            outcome.add(self._enum(value, path))
        if kind == "object":
            self._object(value, path, old, outcome)
        outcome.matches += 2
        return outcome

    # --- scalars

    @staticmethod
    def _wrong_type(path: str, wanted: str, found: str) -> FieldError:
        # The place of a whole object has no name, in upstream's message neither.
        detail = f"{path} in body must be of type {wanted}: {quoted(found)}"
        return FieldError.type_invalid(path or _ROOT, found, detail)

    def _type(self, value: Json, kind: str, path: str) -> list[FieldError]:
        types = self._types
        fits = (
            kind in types
            or (kind == "integer" and "number" in types)
            or (kind == "number" and "integer" in types and is_whole(value))
        )
        if fits:
            return []
        if self._format:
            found = _GO_FORMATS.get(kind, "")
            if kind not in ("string", "array"):
                # Upstream compares formats, and lets pass what has the right one.
                if found != self._format:
                    return [self._wrong_type(path, self._format, found)]
            elif not set(types) & set(_NUMERIC):
                return []
        return [self._wrong_type(path, ",".join(types), kind)]

    def _string(self, value: str, path: str, outcome: Outcome) -> None:
        if self._checks_string:
            outcome.add(self._string_errors(value, path))
        outcome.matches += 1
        if self._check_format is not None:
            if not self._check_format(value):
                outcome.add([self._wrong_type(path, self._format, value)])
            outcome.matches += 1

    def _string_errors(self, value: str, path: str) -> list[FieldError]:
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

    def _enum(self, value: Json, path: str) -> list[FieldError]:
        allowed = self._schema["enum"]
        if any(_is(value, one) for one in allowed):
            return []
        names = [one if isinstance(one, str) else orjson.dumps(as_json(one)).decode() for one in allowed]
        found = shown(float(value) if type_of(value) == "number" else as_map(value))
        listed = ", ".join(map(quoted, names))
        message = f"Unsupported value: {found}: supported values: {listed}"
        return [FieldError(path or _ROOT, "FieldValueNotSupported", message)]

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
            outcome.errors.append(FieldError.too_many(path or _ROOT, len(values), most))
        outcome.matches += 2

    def _object(self, value: Object, path: str, old: Json, outcome: Outcome) -> None:
        schema = self._schema
        least, most = schema.get("minProperties"), schema.get("maxProperties")
        if least is not None and len(value) < least:
            detail = f"{path} in body should have at least {least} properties"
            outcome.errors.append(FieldError.invalid(path or _ROOT, len(value), detail))
        if most is not None and len(value) > most:
            outcome.errors.append(FieldError.too_many(path or _ROOT, len(value), most))
        properties = schema.get("properties") or {}
        before = old if isinstance(old, dict) else {}
        for name in sorted(value):
            known = name in properties
            inner = self._property(name) if known else self._others
            if inner is not None:
                where = f"{path}.{name}" if path or not known else name
                outcome.take(inner.validate(value[name], where, before.get(name, ABSENT)))
        for name in schema.get("required") or ():
            if name not in value:
                outcome.add([FieldError.required(f"{path}.{name}" if path else name, "")])
        outcome.matches += 1

    @cached_property
    def _items(self) -> Validator | None:
        items = self._schema.get("items")
        return self._below(items) if isinstance(items, dict) else None

    @cached_property
    def _others(self) -> Validator | None:
        others = self._schema.get("additionalProperties")
        return self._below(others) if isinstance(others, dict) else None

    def _property(self, name: str) -> Validator:
        made = self._properties.get(name)
        if made is None:
            made = self._properties[name] = self._below(self._schema["properties"][name])
        return made

    def _below(self, schema: Object) -> Validator:
        return Validator(schema, plain=self._plain)

    # --- alternatives

    @cached_property
    def _alternatives(self) -> dict[str, list[Validator]]:
        found = {}
        for name in ("anyOf", "oneOf", "allOf"):
            if self._schema.get(name):
                found[name] = [self._below(part) for part in self._schema[name]]
        if isinstance(self._schema.get("not"), dict):
            found["not"] = [self._below(self._schema["not"])]
        return found

    def _combinations(self, value: Json, path: str, outcome: Outcome) -> None:
        outcome.matches += 2
        for name, parts in self._alternatives.items():
            results = [part.validate(value, path) for part in parts]
            valid = [result for result in results if not result.errors]
            best = max(results, key=lambda result: result.matches)
            match name:
                case "anyOf":
                    if not valid:
                        outcome.add([_unmatched(path, "must validate at least one schema (anyOf)")])
                    outcome.take(valid[0] if valid else best)
                case "oneOf":
                    if len(valid) != 1:
                        found = f"Found {len(valid)} valid alternatives" if valid else "Found none valid"
                        what = f"must validate one and only one schema (oneOf). {found}"
                        outcome.add([_unmatched(path, what)])
                    if len(valid) <= 1:
                        outcome.take(valid[0] if valid else best)
                case "allOf":
                    for result in results:
                        outcome.take(result)
                    if len(valid) != len(parts):
                        none = "" if valid else ". None validated"
                        outcome.add([_unmatched(path, f"must validate all the schemas (allOf){none}")])
                case _:
                    if valid:
                        outcome.add([_unmatched(path, "must not validate the schema (not)")])


def _unmatched(path: str, what: str) -> FieldError:
    return FieldError.invalid(_ROOT, "", f"{quoted(path)} {what}")


def _is(value: Json, allowed: Json) -> bool:
    """Whether a value is one of an enum, made to be of its type: an integer loses its fraction."""
    if isinstance(allowed, bool) or isinstance(value, bool) or allowed is None:
        return allowed is not None and allowed is value
    if isinstance(value, int | float):
        match allowed:
            case int():
                return int(value) == allowed
            case float():
                return value == allowed
            case str():
                return isinstance(value, int) and 0 <= value < 0x110000 and chr(value) == allowed
    return same(value, allowed)


def _matches(value: str, pattern: str) -> bool:
    try:
        return compiled(pattern).search(value) is not None
    except PatternError:
        return True  # a definition from before patterns were checked; new ones are refused


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
