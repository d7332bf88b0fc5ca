"""JSON Patch (RFC 6902), with the liberties that upstream's library takes.

Those are: `replace` of a missing member adds it, a negative index counts from the end, `test` of a missing
member against null holds, a copy of one is null, a missing value is null, what stands before the first slash
of a path is not read, null is a patch without operations. Whatever fails, upstream says the same general
sentence with status 422.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson

from podium.machinery.codec.json import Members, duplicates_in, joined, with_repeats
from podium.machinery.depth import too_deep
from podium.machinery.errors import BadRequest, Invalid, Json, Object, TooLarge
from podium.machinery.golang import found_kind
from podium.machinery.meta import deep_copy

OPERATIONS_MAX = 10_000
COPIED_BYTES_MAX = 3 * 1024 * 1024
"""What all copies of one patch may add: each may double the document."""


class _Failed(Exception):
    """An operation that cannot be performed."""


class _TestFailed(_Failed):
    """A test that does not hold."""


class TestFailed(Invalid):
    """A test in the patch does not hold."""

    __test__ = False


def apply(obj: Object, patch: Json) -> Object:
    """Return `obj` with the operations of `patch` performed in order; both stay as they are.

    Raises BadRequest for a patch that is no list of objects, TooLarge for too many of them, and Invalid
    (422) when one cannot be performed, which is TestFailed where that was a test.
    """
    if patch is None:
        return obj
    _check_containers(patch, lenient=False)
    if len(patch) > OPERATIONS_MAX:
        raise TooLarge(
            "Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{OPERATIONS_MAX}, got {len(patch)}"
        )
    document = _Document(obj)
    try:
        for operation in patch:
            document.perform(operation or {})
    except _Failed as failed:
        raise _refused(TestFailed if isinstance(failed, _TestFailed) else Invalid) from None
    if document.may_be_deeper and too_deep(document.root):
        raise _refused(Invalid)
    result: Object = document.root
    return result


def _refused(error: type[Invalid]) -> Invalid:
    return error("the server rejected our request due to an error in our request", details={})


def check(patch: Json, *, lenient: bool = False) -> None:
    """Raise BadRequest for what is no list of operations. Upstream asks less of them when `lenient`, and in
    other words."""
    if patch is None:
        return
    _check_containers(patch, lenient=lenient)
    if lenient:
        return
    for operation in patch:
        for name in ("op", "path", "from"):
            value = operation.get(name) if operation is not None else None
            if value is not None and not isinstance(value, str):
                what = f"{found_kind(value)} into Go struct field jsonPatchOp.{name} of type string"
                raise BadRequest(f"error decoding patch: json: cannot unmarshal {what}")


def _check_containers(patch: Json, *, lenient: bool) -> None:
    if not isinstance(patch, list):
        raise _undecodable(patch, "jsonpatch.Patch" if lenient else "[]handlers.jsonPatchOp", lenient)
    for operation in patch:
        if operation is not None and not isinstance(operation, dict):
            go_type = "jsonpatch.Operation" if lenient else "handlers.jsonPatchOp"
            raise _undecodable(operation, go_type, lenient)


def _undecodable(value: Json, go_type: str, lenient: bool) -> BadRequest:
    head = "" if lenient else "error decoding patch: "
    return BadRequest(f"{head}json: cannot unmarshal {found_kind(value)} into Go value of type {go_type}")


_MEMBERS = ("op", "path", "from", "value")


def complaints(raw: bytes, patch: list[Json]) -> list[str]:
    """Return what strict decoding says of unknown and repeated members of operations; `raw` is the patch."""
    repeats = with_repeats(raw, patch)
    result: list[str] = []
    for index, operation in enumerate(repeats if repeats is not None else patch):
        seen: set[str] = set()
        for key, value in _members(operation):
            path = f"[{index}].{key}"
            if key not in _MEMBERS:
                result.append(f'unknown field "{path}"')
                continue
            if key in seen:
                result.append(f'duplicate field "{path}"')
            seen.add(key)
            result += [f'duplicate field "{joined(path, inner)}"' for inner in duplicates_in(value)]
    return list(dict.fromkeys(result))


def _members(operation: Json) -> Iterable[tuple[str, Json]]:
    if isinstance(operation, Members):
        return operation
    return operation.items() if isinstance(operation, dict) else ()


class _Document:
    """The object while it changes: containers are copied when first written to, and never again."""

    def __init__(self, root: Object) -> None:
        self.root: Any = root
        self._own: dict[int, Json] = {}
        """Containers made here, by id; holding them keeps the ids from being used again."""
        self._copied_bytes = 0
        self.may_be_deeper = False
        """A container has come to where it was not before."""

    def perform(self, operation: Object | None) -> None:
        if operation is None:
            raise _Failed
        path, source = operation.get("path"), operation.get("from")
        match operation.get("op"):
            case "add":
                self._add(path, self._value(operation))
            case "remove":
                self._remove(path)
            case "replace":
                self._replace(path, self._value(operation))
            case "move":
                value = self._get(source)
                self._remove(source)
                self.may_be_deeper = True
                self._add(path, value)
            case "copy":
                self._add(path, self._copy(self._get(source, absent=True)))
            case "test":
                self._test(path, operation.get("value"))
            case _:
                raise _Failed

    def _value(self, operation: Object) -> Json:
        value = operation.get("value")
        if isinstance(value, dict | list):
            self.may_be_deeper = True
        return deep_copy(value)

    def _copy(self, value: Json) -> Json:
        self.may_be_deeper = True
        try:
            self._copied_bytes += len(orjson.dumps(value))
        except TypeError:  # orjson encodes no more than 254 levels
            raise _Failed from None
        if self._copied_bytes > COPIED_BYTES_MAX:
            raise _Failed
        return deep_copy(value)

    def _get(self, path: Json, *, absent: bool = False) -> Json:
        """Return what is there; with `absent` null for a member that is not."""
        parent, key = self._parent(path, writable=False)
        if isinstance(parent, list):
            return parent[_index(key, len(parent))]
        if key not in parent and not absent:
            raise _Failed
        return parent.get(key)

    def _add(self, path: Json, value: Json) -> None:
        parent, key = self._parent(path, writable=True)
        if isinstance(parent, list):
            size = len(parent) + 1
            parent.insert(size - 1 if key == "-" else _index(key, size), value)
        else:
            parent[key] = value

    def _remove(self, path: Json) -> None:
        parent, key = self._parent(path, writable=True)
        if isinstance(parent, list):
            del parent[_index(key, len(parent))]
        elif key in parent:
            del parent[key]
        else:
            raise _Failed

    def _replace(self, path: Json, value: Json) -> None:
        if path == "" and isinstance(value, dict):
            self.root = value
            return
        parent, key = self._parent(path, writable=True)
        if isinstance(parent, list):
            parent[_index(key, len(parent))] = value
        else:
            parent[key] = value

    def _test(self, path: Json, value: Json) -> None:
        parent, key = self._parent(path, writable=False)
        if isinstance(parent, list):
            found = parent[_index(key, len(parent))]
        else:
            found = parent.get(key)
        if not _same(found, value):
            raise _TestFailed

    def _parent(self, path: Json, *, writable: bool) -> tuple[Any, str]:
        """Return the container that holds what `path` names, and the last part of the path."""
        if not isinstance(path, str) or "/" not in path:
            raise _Failed
        _, *parts, last = (part.replace("~1", "/").replace("~0", "~") for part in path.split("/"))
        if writable:
            self.root = self._owned(self.root)
        here = self.root
        for part in parts:
            if isinstance(here, list):
                index: Any = _index(part, len(here))
            elif isinstance(here, dict) and part in here:
                index = part
            else:
                raise _Failed
            below = here[index]
            if not isinstance(below, dict | list):
                raise _Failed
            if writable:
                below = here[index] = self._owned(below)
            here = below
        return here, last

    def _owned(self, value: Any) -> Any:
        if id(value) in self._own:
            return value
        copy = value.copy()
        self._own[id(copy)] = copy
        return copy


def _index(text: str, size: int) -> int:
    """Return the position that a path's part means in a list of `size` elements."""
    if not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        raise _Failed
    index = int(text)
    if not -size <= index < size:
        raise _Failed
    return index % size


def _same(left: Json, right: Json) -> bool:
    """Compare as JSON text: True is not 1, and 1.0 is not either."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, float) is not isinstance(right, float):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)
