"""Paths that a rule's fieldPath and a selectable field are written as: `.spec.replicas`, `['a.b'].c`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from podium.machinery.errors import Object

_TOKEN = re.compile(r"[.\[\]]|'(?:\\.|[^'\\])*'|'.*|[^.\[\]'][^.\[\]]*", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}


class FieldPathError(ValueError):
    """The path is none, or leads nowhere in its schema. The text is upstream's."""


def resolve(path: str, schema: Object, *, brackets: bool = True) -> tuple[str, Object]:
    """Return the path as field errors have it, and the schema it leads to. Raises FieldPathError.

    `brackets` allows `['name']`.
    """
    shown = ""
    for name in _names(path, brackets):
        properties, others = schema.get("properties"), schema.get("additionalProperties")
        if properties:
            found = properties.get(name)
            shown += f".{name}" if shown else name
        else:
            found = others if isinstance(others, dict) else None
            shown += f"[{name}]"
        if not isinstance(found, dict):
            raise FieldPathError("does not refer to a valid field")
        schema = found
    return shown, schema


def _names(path: str, brackets: bool) -> Iterator[str]:
    tokens = [found[0] for found in _TOKEN.finditer(path)]
    at = 0

    def taken() -> str:
        nonlocal at
        if at >= len(tokens):
            raise FieldPathError("unexpected end of JSON path")
        at += 1
        return tokens[at - 1]

    while at < len(tokens):
        match taken():
            case ".":
                yield taken()
            case "[":
                if not brackets:
                    raise FieldPathError("array notation is not allowed")
                quoted = taken()
                if len(quoted) < 2 or quoted[0] != "'" or quoted[-1] != "'":
                    raise FieldPathError(f"expected single quoted string but got {quoted}")
                yield _unescaped(quoted[1:-1])
                if (end := taken()) != "]":
                    raise FieldPathError(f"expected ] but got {end}")
            case other:
                raise FieldPathError(f"expected [ or . but got: {other}")


def _unescaped(text: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise FieldPathError(f"invalid string literal: invalid escape char {found[0]}")
        return _ESCAPES[found[1]]

    return _ESCAPE.sub(one, text)
