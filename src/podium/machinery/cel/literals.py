"""What upstream looks at once an expression's types are known: its literals.

Lists and maps hold values of one type (but for what `format` fills in), and constant durations, timestamps
and patterns must be good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from podium.machinery.cel.checker import Checked
from podium.machinery.cel.errors import CelRuntimeError, Issue
from podium.machinery.cel.library.standard import to_duration, to_timestamp
from podium.machinery.cel.syntax import Call, ListOf, Literal, Macro, MapOf, Node, Select, Struct
from podium.machinery.cel.types import Type, agree
from podium.machinery.regexp import compiled

_CHECKS: dict[str, Callable[..., object]] = {
    "duration": to_duration,
    "timestamp": to_timestamp,
    "matches": compiled,
}
SINCE = 29  # the release of Kubernetes that looks at texts first; mixed lists it has always refused


def literal_issues(checked: Checked, *, minor: int) -> list[Issue]:
    """Return what is wrong with the literals of a tree whose types are right."""
    return list(_issues(checked, checked.root, minor, formatted=False))


def _issues(checked: Checked, node: Node, minor: int, *, formatted: bool) -> Iterator[Issue]:
    match node:
        case Call():
            formatted = formatted or node.function == "format"
            if minor >= SINCE and node.args and node.function in _CHECKS:
                yield from _text(node)
        case ListOf() if not formatted:
            yield from _list(checked, node)
        case MapOf() if not formatted:
            yield from _map(checked, node)
    for child in children(node):
        yield from _issues(checked, child, minor, formatted=formatted)


def _text(node: Call) -> Iterator[Issue]:
    argument = node.args[0]
    if not isinstance(argument, Literal) or type(argument.value) not in (str, int):
        return
    try:
        _CHECKS[node.function](argument.value)
    except (CelRuntimeError, ValueError, TypeError):
        yield Issue(offset=argument.at, message=f"invalid {node.function} argument")


def _list(checked: Checked, node: ListOf) -> Iterator[Issue]:
    known: Type | None = None
    for at, element in enumerate(node.elements):
        if _is_none(checked, element):
            continue
        found = _opened(checked.types[element], at in node.optional)
        if known is None:
            known = found
        elif not agree(known, found):
            yield _mismatch(element, known, found)
            return


def _map(checked: Checked, node: MapOf) -> Iterator[Issue]:
    key_type: Type | None = None
    value_type: Type | None = None
    for key, value, optional in node.entries:
        if _is_none(checked, value):
            continue
        found_key, found_value = checked.types[key], _opened(checked.types[value], optional)
        if key_type is None or value_type is None:
            key_type, value_type = found_key, found_value
            continue
        if not agree(key_type, found_key):
            yield _mismatch(key, key_type, found_key)
        if not agree(value_type, found_value):
            yield _mismatch(value, value_type, found_value)


def _is_none(checked: Checked, node: Node) -> bool:
    """Return whether the node is `optional.none()`, which goes with anything."""
    return isinstance(node, Call) and checked.functions.get(node) == "optional.none"


def _opened(type_: Type, optional: bool) -> Type:
    return type_.params[0] if optional and type_.params else type_


def _mismatch(node: Node, known: Type, found: Type) -> Issue:
    return Issue(offset=node.at, message=f"expected type '{known}' but found '{found}'")


def children(node: Node) -> Iterator[Node]:
    """Yield the nodes directly below, in the order they are written."""
    match node:
        case Select():
            yield node.operand
        case Call():
            if node.target is not None:
                yield node.target
            yield from node.args
        case ListOf():
            yield from node.elements
        case MapOf():
            for key, value, _ in node.entries:
                yield key
                yield value
        case Struct():
            for _, value, _ in node.fields:
                yield value
        case Macro():
            yield node.target
            yield from node.args
