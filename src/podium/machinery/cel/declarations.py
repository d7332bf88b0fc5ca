"""How functions are declared: one row an overload.

    ("string_index_of_string", ".indexOf", "string, string", "int", index_of)

A dot before the name makes it a method, whose first parameter is the target. Other words are type variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from podium.machinery.cel import types as t
from podium.machinery.cel.types import Type

_NAMES: dict[str, Type] = {
    "bool": t.BOOL,
    "int": t.INT,
    "uint": t.UINT,
    "double": t.DOUBLE,
    "string": t.STRING,
    "bytes": t.BYTES,
    "null": t.NULL,
    "dyn": t.DYN,
    "duration": t.DURATION,
    "timestamp": t.TIMESTAMP,
    "Quantity": t.opaque("kubernetes.Quantity"),
    "URL": t.opaque("kubernetes.URL"),
    "IP": t.opaque("net.IP"),
    "CIDR": t.opaque("net.CIDR"),
    "Semver": t.opaque("kubernetes.Semver"),
    "Format": t.opaque("kubernetes.NamedFormat"),
    "Authorizer": t.opaque("kubernetes.authorization.Authorizer"),
    "PathCheck": t.opaque("kubernetes.authorization.PathCheck"),
    "GroupCheck": t.opaque("kubernetes.authorization.GroupCheck"),
    "ResourceCheck": t.opaque("kubernetes.authorization.ResourceCheck"),
    "Decision": t.opaque("kubernetes.authorization.Decision"),
}
AUTHORIZER = _NAMES["Authorizer"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overload:
    """One way to call a function. `params` begins with the target of a method.

    `kinds` are the kinds of `params` that a value can be tested for; None takes anything.
    """

    id: str
    function: str
    params: tuple[Type, ...]
    result: Type
    member: bool
    run: Callable[..., Any]
    kinds: tuple[str | None, ...]
    since: int = 0


Row = tuple[str, str, str, str, Callable[..., Any]]


def declare(rows: Iterable[Row], *, since: int = 0) -> list[Overload]:
    """Return the overloads of a table. `since`: the minor release of Kubernetes that has them first."""
    return [
        Overload(
            id=id_,
            function=name.removeprefix("."),
            params=(typed := tuple(read_type(part) for part in _split(params))),
            result=read_type(result),
            member=name.startswith("."),
            run=run,
            kinds=tuple(_kind(type_) for type_ in typed),
            since=since,
        )
        for id_, name, params, result, run in rows
    ]


def by_name(overloads: Iterable[Overload]) -> Mapping[str, tuple[Overload, ...]]:
    grouped: dict[str, tuple[Overload, ...]] = {}
    for overload in overloads:
        grouped[overload.function] = (*grouped.get(overload.function, ()), overload)
    return grouped


def _kind(type_: Type) -> str | None:
    if type_.kind in ("param", "dyn"):
        return None
    return type_.name if type_.kind == "opaque" else type_.kind


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    last = text[start:].strip()
    return [*parts, last] if last else parts


def read_type(text: str) -> Type:
    """Read `list(string)`, `map(K, V)`, `optional(A)`, `A`, `Quantity`."""
    known = _NAMES.get(text)
    if known is not None:
        return known
    name, _, inside = text.partition("(")
    params = [read_type(part) for part in _split(inside[:-1])]
    match name:
        case "list":
            return t.list_of(params[0])
        case "map":
            return t.map_of(params[0], params[1])
        case "optional":
            return t.optional_of(params[0])
        case "type":
            return t.type_of(params[0])
        case _:
            return t.param(name)
