"""Sets of field paths, as trees in the very form in which managedFields carry them (FieldsV1).

    {"f:data": {".": {}, "f:x": {}}}      the paths `data` and `data.x`
    {"f:data": {"f:x": {}}}               only `data.x`

An element of a path is `f:name` (a field), `k:{"name":"c"}` (an item of an associative list) or `v:"x"` (a
value of a set). A subtree is a member itself when it is empty or holds `"."`. Trees are never mutated; every
operation returns a tree that may share parts of its operands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

FieldSet = dict[str, "FieldSet"]

SELF = "."
_LEAF: FieldSet = {}


def is_member(tree: FieldSet) -> bool:
    """Tell whether the path that leads to this subtree is in the set."""
    return not tree or SELF in tree


def _node(member: bool, children: FieldSet) -> FieldSet | None:
    """Return the subtree with these children, None when it would hold nothing."""
    if not children:
        return _LEAF if member else None
    if member:
        return {SELF: _LEAF, **children}
    return children


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the paths that are in either set."""
    if not left or left is right:
        return right
    if not right:
        return left
    result = dict(left)
    for key, theirs in right.items():
        mine = result.get(key)
        result[key] = theirs if mine is None else _union_node(mine, theirs)
    return result


def _union_node(left: FieldSet, right: FieldSet) -> FieldSet:
    if not left:
        return right if is_member(right) else {SELF: _LEAF, **right}
    if not right:
        return left if SELF in left else {SELF: _LEAF, **left}
    return union(left, right)


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the paths of `left` that are not in `right`; what lies below a removed path stays."""
    if not right or not left:
        return left
    result: FieldSet = {}
    changed = False
    for key, mine in left.items():
        theirs = right.get(key)
        if theirs is None or key == SELF:
            result[key] = mine
            continue
        node = _difference_node(mine, theirs)
        if node is not mine:
            changed = True
        if node is not None:
            result[key] = node
    return result if changed else left


def _difference_node(left: FieldSet, right: FieldSet) -> FieldSet | None:
    member = is_member(left) and not is_member(right)
    children = left if SELF not in left else {key: tree for key, tree in left.items() if key != SELF}
    rest = difference(children, right)
    if rest is children and member == is_member(left):
        return left
    return _node(member, rest)


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """Return the paths that are in both sets."""
    result: FieldSet = {}
    for key, mine in left.items():
        theirs = right.get(key)
        if theirs is None or key == SELF:
            continue
        node = _node(is_member(mine) and is_member(theirs), intersection(mine, theirs))
        if node is not None:
            result[key] = node
    return result


def without_below(tree: FieldSet, excluded: FieldSet) -> FieldSet:
    """Return the paths that neither are in `excluded` nor lie below one that is."""
    if not excluded or not tree:
        return tree
    result: FieldSet = {}
    for key, mine in tree.items():
        theirs = excluded.get(key)
        if theirs is None:
            result[key] = mine
        elif not is_member(theirs):
            children = {part: node for part, node in mine.items() if part != SELF}
            node = _node(is_member(mine), without_below(children, theirs))
            if node is not None:
                result[key] = node
    return result


def of_paths(paths: Iterable[Iterable[str]]) -> FieldSet:
    """Return the set of these paths, each given by field names."""
    tree: FieldSet = {}
    for path in paths:
        single: FieldSet = {}
        for name in reversed(list(path)):
            single = {f"f:{name}": single}
        tree = union(tree, single)
    return tree


def paths(tree: FieldSet) -> Iterator[tuple[str, ...]]:
    """Yield the members as tuples of elements: at each level members first, both in upstream's order."""
    keys = sorted((key for key in tree if key != SELF), key=_order)
    for key in keys:
        if is_member(tree[key]):
            yield (key,)
    for key in keys:
        for path in paths(tree[key]):
            yield (key, *path)


def _order(key: str) -> tuple[int, str]:
    """Fields before keys before values, as upstream sorts path elements."""
    return "fkvi".find(key[0]), key


def text(path: Iterable[str]) -> str:
    """Return a path as upstream prints it: `.spec.containers[name="c"].image`."""
    parts = []
    for element in path:
        kind, _, value = element.partition(":")
        if kind == "f":
            parts.append(f".{value}")
        elif kind == "k":
            keys = orjson.loads(value)
            shown = ",".join(f"{name}={orjson.dumps(keys[name]).decode()}" for name in sorted(keys))
            parts.append(f"[{shown}]")
        elif kind == "v":
            parts.append(f"[={value}]")
        else:
            parts.append(f"[{value}]")
    return "".join(parts)
