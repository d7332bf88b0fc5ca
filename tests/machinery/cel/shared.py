"""Variables and values that the tables of CEL use."""

from __future__ import annotations

from typing import Any

from podium.machinery import cel

SELF: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "short": {"type": "string", "maxLength": 10},
        "replicas": {"type": "integer"},
        "ratio": {"type": "number"},
        "b-c": {"type": "integer"},
        "namespace": {"type": "string"},
        "gone": {"type": "string", "nullable": True},
        "data": {"type": "string", "format": "byte"},
        "span": {"type": "string", "format": "duration"},
        "when": {"type": "string", "format": "date-time"},
        "list": {"type": "array", "items": {"type": "string"}},
        "few": {"type": "array", "maxItems": 3, "items": {"type": "string", "maxLength": 5}},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "integer"}},
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "port": {"type": "integer"}},
            },
        },
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "either": {"x-kubernetes-int-or-string": True},
    },
}
VALUE: dict[str, Any] = {
    "name": "web",
    "short": "w",
    "replicas": 3,
    "ratio": 2,
    "b-c": 7,
    "namespace": "prod",
    "gone": None,
    "data": "aGVsbG8=",
    "span": "1h30m",
    "when": "2024-02-29T12:00:00+02:00",
    "list": ["a", "b"],
    "few": ["a"],
    "set": [1, 2],
    "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}],
    "labels": {"app": "web", "empty": ""},
    "either": "50%",
}
TYPE = cel.types_from_schema(SELF)
assert TYPE is not None
VARIABLES = {"self": TYPE, "any": cel.DYN, "maybe": cel.optional_of(cel.INT)}
BINDINGS = {"self": VALUE, "any": {"k": [1, 2], "null": None}, "maybe": cel.some(4)}


def run(expression: str, **options: Any) -> cel.Result:
    """Compile and evaluate."""
    return cel.compile(expression, variables=VARIABLES).evaluate(BINDINGS, **options)
