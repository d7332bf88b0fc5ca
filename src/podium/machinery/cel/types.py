"""The types that the checker gives to expressions, and how an OpenAPI schema becomes one of them.

A type made from a schema carries what the cost estimate needs besides: how many elements a value can have at
most, and the least number of bytes it takes in a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

REQUEST_BYTES_MAX = 3 * 1024 * 1024
STRING_MAX = REQUEST_BYTES_MAX - 2  # less the quotation marks
DEPTH_MAX = 128

RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
"""Words of the language, which no variable may have for a name."""
_ESCAPED_WORDS = RESERVED | {"true", "false", "null", "in"}
_SPECIAL = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED = re.compile(r"__|[-./]")
_ESCAPE_SEQUENCE = re.compile(r"(__[^_]+__)")
_ESCAPABLE = re.compile(r"[a-zA-Z_./-][a-zA-Z0-9_./-]*", re.ASCII)


@dataclass(frozen=True, eq=False, kw_only=True)
class Type:
    """A CEL type. Two are equal when kind, name and parameters are; objects of a schema are equal by name.

    `params`: the element of a list, key and value of a map, the value of an optional or a type.
    `fields`: of an object, by the name that expressions use (escaped); `wire`: their names on the wire.
    """

    kind: str
    name: str = ""
    params: tuple[Type, ...] = ()
    fields: Mapping[str, Type] = field(default_factory=dict)
    wire: Mapping[str, str] = field(default_factory=dict)
    elements_max: int = 0
    size_min: int = 1
    list_type: str = ""
    map_keys: tuple[str, ...] = ()

    @cached_property
    def identity(self) -> tuple[object, ...]:
        return (self.kind, self.name, *(param.identity for param in self.params))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Type) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __str__(self) -> str:
        match self.kind:
            case "list" | "map" | "type" if self.params:
                return f"{self.kind}({', '.join(map(str, self.params))})"
            case "optional":
                return f"optional_type({self.params[0]})"
            case "duration" | "timestamp":
                return f"google.protobuf.{self.kind.capitalize()}"
            case "wrapper":
                return f"wrapper({self.params[0]})"
            case "dyn":
                return "dyn"
            case _:
                return self.name or self.kind

    @property
    def element(self) -> Type:
        """The type of a list's elements or of a map's values."""
        return self.params[-1]


def _simple(kind: str, *, size_min: int = 1) -> Type:
    return Type(kind=kind, name=kind, size_min=size_min)


def agree(one: Type, two: Type) -> bool:
    """Say whether two types are the same where both are known."""
    if one == two or OPEN in (one, two):
        return True
    if one.kind != two.kind or len(one.params) != len(two.params) or not one.params:
        return False
    return all(map(agree, one.params, two.params))


BOOL = _simple("bool", size_min=4)
INT = _simple("int")
UINT = _simple("uint")
DOUBLE = _simple("double")
STRING = replace(_simple("string", size_min=2), elements_max=STRING_MAX)
BYTES = replace(_simple("bytes", size_min=2), elements_max=STRING_MAX)
NULL = Type(kind="null", name="null")
DYN = _simple("dyn")
OPEN = Type(kind="dyn", name="open")
"""Of the elements of an empty list: dynamic, until it stands where lists of something stand."""
ERROR = Type(kind="error", name="!error!")
DURATION = replace(_simple("duration", size_min=3), elements_max=32)
TIMESTAMP = replace(_simple("timestamp", size_min=21), elements_max=32)
DATE = replace(TIMESTAMP, size_min=12, elements_max=12)


def list_of(element: Type, *, elements_max: int = 0) -> Type:
    return Type(kind="list", params=(element,), elements_max=elements_max, size_min=2)


def map_of(key: Type, value: Type, *, elements_max: int = 0) -> Type:
    return Type(kind="map", params=(key, value), elements_max=elements_max, size_min=2)


def optional_of(value: Type) -> Type:
    return Type(kind="optional", params=(value,))


def type_of(value: Type) -> Type:
    return Type(kind="type", params=(value,))


def param(name: str) -> Type:
    """A type variable of a function's declaration."""
    return Type(kind="param", name=name)


def opaque(name: str) -> Type:
    """A type of a library, known by its name alone."""
    return Type(kind="opaque", name=name)


QUANTITY = opaque("kubernetes.Quantity")


def object_of(name: str, fields: Mapping[str, Type], *, size_min: int = 2) -> Type:
    """Return an object type with `fields` by their names on the wire, less those that cannot be escaped."""
    wire = {escaped: key for key in fields if (escaped := escape(key)) is not None}
    # After a dot the parser takes most reserved words as they are.
    wire |= {key: key for key in fields if key in _ESCAPED_WORDS}
    typed = {escaped: fields[key] for escaped, key in wire.items()}
    return Type(kind="object", name=name, fields=typed, wire=wire, size_min=size_min)


def escape(name: str) -> str | None:
    """Return `name` as expressions write it (`__namespace__`, `a__dash__b`), None when they cannot."""
    if name in _ESCAPED_WORDS:
        return f"__{name}__"
    if not _ESCAPABLE.fullmatch(name):
        return None
    return _ESCAPED.sub(lambda found: _SPECIAL[found[0]], name)


def unescape(text: str) -> str:
    """Return the name that `text` is when expressions write it so; `text` itself where it is no escape."""
    if "__" not in text:
        return text
    names = {escaped: plain for plain, escaped in _SPECIAL.items()}
    names |= {f"__{word}__": word for word in _ESCAPED_WORDS if len(text) == len(word) + 4}
    parts = _ESCAPE_SEQUENCE.split(text)
    if not all(part in names for part in parts[1::2]):
        return text
    return "".join(names.get(part, part) if at % 2 else part for at, part in enumerate(parts))


def types_from_schema(schema: Mapping[str, Any], *, root: bool = False, name: str = "object") -> Type | None:
    """Return the type of the values of an OpenAPI v3 schema, or None when expressions cannot see them.

    `root` is for the schema of a whole resource: apiVersion, kind, metadata.name and metadata.generateName
    are then visible whether the schema has them or not. A schema nested too deeply is not visible either.
    """
    return _from_schema(schema, root, name, 0)


def _from_schema(schema: Mapping[str, Any], root: bool, name: str, depth: int) -> Type | None:
    if depth > DEPTH_MAX:
        return None
    if schema.get("x-kubernetes-int-or-string"):
        return replace(DYN, elements_max=_length(schema, STRING_MAX))
    if root:
        schema = _with_meta(schema)
    match schema.get("type"):
        case "array":
            return _array(schema, name, depth)
        case "object":
            return _object(schema, name, depth)
        case "string":
            return _string(schema)
        case "boolean":
            return BOOL
        case "number":
            return DOUBLE
        case "integer":
            return INT
        case _:
            return None


def _array(schema: Mapping[str, Any], name: str, depth: int) -> Type | None:
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return None
    element = _from_schema(items, _embedded(items), f"{name}.@idx", depth + 1)
    if element is None:
        return None
    limit = schema.get("maxItems")
    elements_max = (
        max(0, int(limit)) if limit is not None else (REQUEST_BYTES_MAX - 2) // (element.size_min + 1)
    )
    return replace(
        list_of(element, elements_max=elements_max),
        list_type=schema.get("x-kubernetes-list-type") or "",
        map_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
    )


def _object(schema: Mapping[str, Any], name: str, depth: int) -> Type | None:
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        value = _from_schema(values, _embedded(values), f"{name}.@elem", depth + 1)
        if value is None:
            return None
        limit = schema.get("maxProperties")
        if limit is not None:
            elements_max = max(0, int(limit))
        else:
            elements_max = (REQUEST_BYTES_MAX - 2) // (value.size_min + 6)
        # Upstream gives keys no length of their own, and so neither do we: estimates depend on it.
        return map_of(replace(STRING, elements_max=0), value, elements_max=elements_max)
    required = set(schema.get("required") or ())
    fields: dict[str, Type] = {}
    size_min = 2
    for key, property_schema in (schema.get("properties") or {}).items():
        found = _from_schema(property_schema, _embedded(property_schema), f"{name}.{key}", depth + 1)
        if found is None:
            continue
        fields[key] = found
        if key in required and property_schema.get("default") is None:
            size_min += len(key.encode()) + found.size_min + 4
    return object_of(name, fields, size_min=size_min)


def _string(schema: Mapping[str, Any]) -> Type:
    match schema.get("format"):
        case "byte":
            limit = schema.get("maxLength")
            return replace(BYTES, elements_max=max(0, int(limit)) if limit is not None else STRING_MAX)
        case "duration":
            return DURATION
        case "date":
            return DATE
        case "date-time":
            return TIMESTAMP
        case _:
            longest = STRING_MAX
            if schema.get("enum"):
                longest = max((len(v.encode()) for v in schema["enum"] if isinstance(v, str)), default=0)
            return replace(STRING, elements_max=_length(schema, longest))


def _length(schema: Mapping[str, Any], otherwise: int) -> int:
    limit = schema.get("maxLength")
    return max(0, int(limit)) * 4 if limit is not None else otherwise  # a character takes up to four bytes


def _embedded(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-embedded-resource"))


def _with_meta(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema with what every object has, unless it says all of it itself."""
    properties = schema.get("properties") or {}
    meta = properties.get("metadata") or {}
    named = meta.get("properties") or {}
    told = (
        properties.get("kind"),
        properties.get("apiVersion"),
        named.get("name"),
        named.get("generateName"),
    )
    if meta.get("type") == "object" and all(part and part.get("type") == "string" for part in told):
        return schema
    text = {"type": "string"}
    known = {"type": "object", "properties": {"name": text, "generateName": text}}
    made = {**properties, "apiVersion": text, "kind": text, "metadata": known}
    return {**schema, "type": schema.get("type") or "object", "properties": made}
