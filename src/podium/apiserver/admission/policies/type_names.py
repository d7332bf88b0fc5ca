"""Whether the types in an expression's `Object` values are those of the fields that they are put in.

`Object{spec: Object.spec{selector: Object.spec.wrong{}}}` compiles, as upstream, and is refused when used.
Upstream: apiserver/pkg/cel/mutation/dynamic/objects.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery.cel.syntax import Call, ListOf, Macro, MapOf, Node, Struct

_LOOPS = frozenset(("map", "transformList", "transformMap", "optMap", "optFlatMap"))


def fault_of(root: Node) -> str:
    """Return what is wrong with the types, "" when nothing is."""
    return "\n".join(dict.fromkeys(_anywhere(root)))


def _anywhere(node: Node) -> Iterator[str]:
    """Yield the faults of every outermost `Object` value."""
    match node:
        case Struct() if node.name == "JSONPatch":
            for _, value, _ in node.fields:
                yield from _anywhere(value)
        case Struct():
            yield from _inside(node, node.name)
        case _:
            for part in _values(node):
                yield from _anywhere(part)


def _inside(node: Node, expected: str) -> Iterator[str]:
    if not isinstance(node, Struct):
        for part in _values(node):
            yield from _inside(part, expected)
        return
    if node.name != expected:
        yield (
            f'unexpected type name "{node.name}", expected "{expected}", which matches field name path from '
            "root Object type"
        )
    for name, value, _ in node.fields:
        yield from _inside(value, f"{expected}.{name}")


def _values(node: Node) -> list[Node]:
    """Return the parts of a node that may become its value, or parts of that."""
    match node:
        case ListOf():
            return node.elements
        case MapOf():
            return [value for _, value, _ in node.entries]
        case Call() if node.function == "_?_:_":
            return node.args[1:]
        case Call() if node.function == "_+_":
            return node.args
        case Macro() if node.name in _LOOPS:
            return node.args[-1:]
    return []
