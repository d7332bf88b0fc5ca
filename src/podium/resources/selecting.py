"""Field selectors: a path in an object as the text that a selector compares."""

from __future__ import annotations

from collections.abc import Callable

from podium.machinery.errors import Json, Object

Getter = Callable[[Object], str]


def field(path: str) -> Getter:
    """Return what reads the value at a dotted path: "" where there is none, `true` and `false` as such."""
    parts = path.split(".")

    def get(obj: Object) -> str:
        value: Json = obj
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        return text(value)

    return get


def text(value: Json) -> str:
    """Return a value as field selectors compare it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def number(path: str) -> Getter:
    """Return what reads a number, "0" where there is none."""
    get = field(path)
    return lambda obj: get(obj) or "0"


def flag(path: str) -> Getter:
    """Return what reads a boolean, "false" where there is none."""
    get = field(path)
    return lambda obj: get(obj) or "false"


def fields(*paths: str) -> dict[str, Getter]:
    """Return the getters of paths that are read as they are."""
    return {path: field(path) for path in paths}
