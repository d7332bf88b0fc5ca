"""The JSON paths of definitions: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`.

Upstream: k8s.io/client-go/util/jsonpath, of which this is what a path without surrounding text may use.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from podium.machinery.errors import Json, Object

_STEP = re.compile(
    r"""
      (?P<recursive>\.\.)(?P<descendant>[\w-]+|\*)?
    | \.(?P<field>(?:\\.|[^.\[\]\\])+)
    | \[\?\((?P<filter>.*?)\)\]
    | \[(?P<union>(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
        (?:\s*,\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))*)\]
    | \[(?P<slice>\*|-?\d*:-?\d*(?::-?\d+)?|-?\d+(?:,-?\d+)*)\]
    """,
    re.VERBOSE | re.ASCII,
)
_FILTER = re.compile(r"\s*(?P<left>.+?)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<right>.+?)\s*)?$")
_QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")

Step = Callable[[Json], Iterator[Json]]
Finder = Callable[[Object], list[Json]]


class PathError(ValueError):
    """Text that is no JSON path."""


def compile_path(text: str) -> Finder:
    """Return what finds the values at a path. Raises `PathError`."""
    steps = _steps(text)

    def find(obj: Object) -> list[Json]:
        values: list[Json] = [obj]
        for step in steps:
            values = [found for value in values for found in step(value)]
            if not values:
                break
        return values

    return find


def _steps(text: str) -> list[Step]:
    text = text.strip()
    if text.startswith(("$", "@")):
        text = text[1:]
    steps: list[Step] = []
    place = 0
    if text in ("", "."):
        return steps
    while place < len(text):
        match = _STEP.match(text, place)
        if match is None:
            raise PathError(f"unrecognized character in action: {text[place:]!r}")
        place = match.end()
        steps.append(_step(match))
    return steps


def _step(match: re.Match[str]) -> Step:
    if match["recursive"]:
        return _descend(match["descendant"])
    if match["field"] is not None:
        return _field(re.sub(r"\\(.)", r"\1", match["field"]))
    if match["filter"] is not None:
        return _filter(match["filter"])
    if match["union"] is not None:
        names = [_unquoted(found) for found in _QUOTED.finditer(match["union"])]
        return lambda value: (value[name] for name in names if isinstance(value, dict) and name in value)
    return _slice(match["slice"])


def _unquoted(match: re.Match[str]) -> str:
    return re.sub(r"\\(.)", r"\1", match[1] if match[1] is not None else match[2])


def _field(name: str) -> Step:
    if name == "*":
        return _children

    def step(value: Json) -> Iterator[Json]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _children(value: Json) -> Iterator[Json]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descend(name: str | None) -> Step:
    def step(value: Json) -> Iterator[Json]:
        if name is None or name == "*":
            yield value
        elif isinstance(value, dict) and name in value:
            yield value[name]
        for child in _children(value):
            yield from step(child)

    return step


def _slice(text: str) -> Step:
    if text == "*":
        return _children
    if ":" in text:
        parts = [int(part) if part else None for part in text.split(":")]
        chosen = slice(*parts)
        return lambda value: iter(value[chosen] if isinstance(value, list) else ())
    places = [int(part) for part in text.split(",")]

    def step(value: Json) -> Iterator[Json]:
        if isinstance(value, list):
            for place in places:
                if -len(value) <= place < len(value):
                    yield value[place]

    return step


def _filter(text: str) -> Step:
    match = _FILTER.match(text)
    if match is None:
        raise PathError(f"invalid filter: {text!r}")
    left = _operand(match["left"])
    operator = match["op"]
    right = _operand(match["right"]) if operator else None

    def step(value: Json) -> Iterator[Json]:
        if not isinstance(value, list):
            return
        for item in value:
            found = left(item)
            if right is None:
                if found:
                    yield item
            elif found and (wanted := right(item)) and _compare(found[0], operator, wanted[0]):
                yield item

    return step


def _operand(text: str) -> Callable[[Json], list[Json]]:
    if text.startswith(("@", "$", ".")):
        return compile_path(text)
    quoted = _QUOTED.fullmatch(text)
    constant: Json
    if quoted is not None:
        constant = _unquoted(quoted)
    elif text in ("true", "false"):
        constant = text == "true"
    else:
        try:
            constant = float(text) if "." in text else int(text)
        except ValueError:
            raise PathError(f"invalid operand: {text!r}") from None
    return lambda _item: [constant]


def _compare(left: Json, operator: str, right: Json) -> bool:
    try:
        match operator:
            case "==":
                return bool(left == right)
            case "!=":
                return bool(left != right)
            case "<":
                return bool(left < right)
            case ">":
                return bool(left > right)
            case "<=":
                return bool(left <= right)
            case _:
                return bool(left >= right)
    except TypeError:
        return False
