"""Server-side apply: merge what an applier wants into an object, by ownership.

The applier comes to own exactly what its configuration has. What it owned before and has left out goes away,
unless someone else owns it too. A field that another manager owns with another value is a conflict, which
`force` resolves by taking it over. Upstream: sigs.k8s.io/structured-merge-diff, apimachinery's managedfields.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from podium.machinery import managed_fields as managed
from podium.machinery import meta as metadata
from podium.machinery.compare import CompareError, compare, field_set, item_key
from podium.machinery.errors import BadRequest, Conflict, Json, Object, PlainError
from podium.machinery.fieldset import (
    SELF,
    FieldSet,
    difference,
    intersection,
    is_member,
    of_paths,
    paths,
    text,
    union,
    without_below,
)
from podium.machinery.golang import plain, syntax
from podium.machinery.schema import Schema
from podium.machinery.shape import Shape

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"
_LEAF: FieldSet = {}
_ABSENT: Any = object()


def apply(
    live: Object | None,
    config: Object,
    *,
    manager: str,
    force: bool,
    api_version: str,
    kind: str,
    now: datetime,
    schema: Schema | None,
    subresource: str = "",
    ignored: Iterable[Sequence[str]] = (),
    translate: managed.Translate = managed.fields_of,
) -> Object:
    """Return `live` (None: it does not exist yet) with `config` applied; both stay as they are.

    The result has its managedFields, and is yet to be decoded and defaulted. `ignored` are paths that this
    request cannot set: `("status",)`. `translate` reads entries of other versions of the kind.
    Raises BadRequest for a configuration of another kind, PlainError (500, as upstream) for one that does not
    fit the schema, Conflict with a cause for each field that others own.
    """
    _check_kind(config, api_version, kind)
    shape = managed.shape_of(schema)
    _check_types(config, shape)
    base = live if live is not None else schema.skeleton() if schema is not None else {}
    base = {**_without_managed_fields(base), "apiVersion": api_version, "kind": kind}
    request = _Apply(
        base, config, shape, manager, subresource, api_version, tuple(map(tuple, ignored)), now, translate
    )
    try:
        conflicts = request.merge(request.entries_before(live, schema))
    except CompareError as error:
        raise PlainError(f"failed to create typed live object: {error}") from None
    if conflicts and not force and manager == _KUBECTL:
        conflicts = _without_own_past(conflicts, base, shape, api_version)
    if conflicts and not force:
        raise _conflict(conflicts)
    result = request.result(live)
    if manager == _KUBECTL and metadata.annotations(result).get(LAST_APPLIED):
        meta = result["metadata"] = dict(result["metadata"])
        meta["annotations"] = {**meta["annotations"], LAST_APPLIED: _last_applied(config)}
    return result


def _check_kind(config: Object, api_version: str, kind: str) -> None:
    sent_version, sent_kind = _text(config.get("apiVersion")), _text(config.get("kind"))
    if (sent_version, sent_kind) != (api_version, kind):
        group, version = metadata.split_api_version(sent_version)
        raise BadRequest(f"invalid object type: {group}/{version}, Kind={sent_kind}")
    if _meta(config).get("managedFields") is not None:
        raise BadRequest("metadata.managedFields must be nil")


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _meta(config: Object) -> Object:
    """Return a configuration's metadata before its type is known to be right."""
    meta = config.get("metadata")
    return meta if isinstance(meta, dict) else {}


def _without_managed_fields(obj: Object) -> Object:
    meta = obj.get("metadata") or {}
    if "managedFields" not in meta:
        return obj
    rest = {key: value for key, value in meta.items() if key != "managedFields"}
    return {**obj, "metadata": rest}


class _Apply:
    """One apply, step by step: the merged object and the owners that result."""

    def __init__(
        self,
        base: Object,
        config: Object,
        shape: Shape,
        manager: str,
        subresource: str,
        api_version: str,
        ignored: tuple[tuple[str, ...], ...],
        now: datetime,
        translate: managed.Translate,
    ) -> None:
        self._translate = translate
        self._base = base
        self._config = config
        self._shape = shape
        self._ignored_paths = ignored
        self._ignored = of_paths(ignored)
        self._now = now
        self._named = without_below(field_set(config, shape), self._ignored)
        """All that the configuration names, also what nobody owns, such as metadata.name."""
        fields = managed.strip_meta(self._named)
        self._mine = managed.new_entry(manager, "Apply", api_version, subresource, fields, None)
        self._merged = base
        self._entries: list[Object] = []

    def entries_before(self, live: Object | None, schema: Schema | None) -> list[Object]:
        """Return who owns what before this apply; an object nobody tracked belongs to its past."""
        entries = managed.entries_of(live)
        if entries or live is None:
            return entries
        past = dict(self._base)
        managed.update(
            past,
            None,
            manager=managed.BEFORE_FIRST_APPLY,
            api_version=self._mine["apiVersion"],
            now=self._now,
            schema=schema,
            ignored=self._ignored_paths,
        )
        entries = managed.entries_of(past)
        past["metadata"].pop("managedFields", None)
        return entries

    def merge(self, entries: list[Object]) -> list[tuple[Object, FieldSet]]:
        """Merge, and return who owns what is about to change: conflicts, unless forced."""
        who = managed.identity(self._mine)
        previous = next((entry for entry in entries if managed.identity(entry) == who), None)
        others = [entry for entry in entries if entry is not previous]
        merged = _merge(self._base, self._config, self._shape, False)
        if previous is not None:
            merged = self._pruned(merged, self._translate(previous), others)
        self._merged = merged
        change = compare(_comparable(self._base), _comparable(merged), self._shape)
        taken = without_below(change.changed, self._ignored)
        lost = union(taken, without_below(change.removed, self._ignored))
        overlaps = [(entry, intersection(self._translate(entry), taken)) for entry in others]
        conflicts = [(entry, overlap) for entry, overlap in overlaps if overlap]
        kept = managed.kept(others, lost, self._translate, self._mine["apiVersion"])
        if managed.fields_of(self._mine):
            kept.append(self._timed(previous, changed=merged != self._base))
        self._entries = managed.in_order(managed.cap(kept))
        return conflicts

    def _timed(self, previous: Object | None, *, changed: bool) -> Object:
        """Return the applier's entry: its time moves only when the object changes."""
        mine = dict(self._mine)
        if changed:
            mine["time"] = managed.new_entry("", "", "", "", {}, self._now)["time"]
        elif previous is not None and previous.get("time"):
            mine["time"] = previous["time"]
        return mine

    def _pruned(self, merged: Object, last: FieldSet, others: list[Object]) -> Object:
        """Return `merged` without what the applier owned, has left out, and nobody else owns."""
        if not last:
            return merged
        shape = self._shape
        named_last = _with_named(last, shape)
        without_last = _remove(merged, named_last, shape)
        owned = self._named
        for entry in others:
            owned = union(owned, self._translate(entry))
        everything = _with_named(field_set(merged, shape), shape)
        keep = union(_with_named(field_set(without_last, shape), shape), _with_named(owned, shape))
        pruned = _remove(merged, difference(everything, keep), shape)
        # What was below a removed parent but never the applier's own comes back.
        remaining = _with_named(field_set(pruned, shape), shape)
        result: Object = _remove(merged, intersection(difference(everything, remaining), named_last), shape)
        return result

    def result(self, live: Object | None) -> Object:
        unchanged = live is not None and self._merged == self._base
        result = dict(self._base if unchanged else self._merged)
        meta = result["metadata"] = dict(result.get("metadata") or {})
        if self._entries:
            meta["managedFields"] = self._entries
        return result


def _comparable(obj: Object) -> Object:
    return {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}


# --- merging ---


def _merge(left: Json, right: Json, shape: Shape, atomic: bool) -> Json:
    """Return `left` with `right` laid over it: maps and associative lists merge, all else is replaced."""
    if atomic or shape.atomic or left is _ABSENT or not left:
        return right
    if isinstance(left, dict) and shape.kind in ("struct", "map", "any"):
        if right and not isinstance(right, dict):
            return right  # Without a schema a map may give way to anything.
        # An empty map adds nothing to a filled one.
        return _merge_maps(left, right, shape) if right else left
    if isinstance(left, list) and shape.kind == "list":
        return _merge_lists(left, right, shape) if right else left
    return right


def _merge_maps(left: Object, right: Object, shape: Shape) -> Object:
    result = dict(left)
    fields, element = shape.fields, shape.element or managed.DEDUCED
    for name, value in right.items():
        field = fields.get(name)
        inner, atomic = (element, False) if field is None else (field.shape, field.atomic)
        result[name] = _merge(left.get(name, _ABSENT), value, inner, atomic)
    return result


def _merge_lists(left: list[Json], right: list[Json], shape: Shape) -> list[Json]:
    """Merge associative lists: the applier's items in its order, the others near where they stood.

    left [a, b, c], right [c, x, a] gives [b, c, x, a].
    """
    element = shape.element or managed.DEDUCED
    mine = {item_key(value, shape): value for value in left}
    theirs = {item_key(value, shape): value for value in right}
    left_keys, right_keys = [item_key(value, shape) for value in left], list(theirs)
    shared = [key for key in right_keys if key in mine]
    result: list[Json] = []
    done: set[str] = set()
    at_left = at_right = at_shared = 0

    while at_left < len(left_keys) or at_right < len(right_keys):
        if at_left < len(left_keys):
            key = left_keys[at_left]
            if key not in theirs:
                result.append(left[at_left])
                at_left += 1
                continue
            waits = at_shared < len(shared) and shared[at_shared] != key and at_right < len(right_keys)
            if key in done or waits:
                at_left += 1
                continue
        if at_right < len(right_keys):
            key = right_keys[at_right]
            at_right += 1
            if at_left < len(left_keys) and left_keys[at_left] == key:
                at_left += 1
            done.add(key)
            result.append(_merge(mine.get(key, _ABSENT), theirs[key], element, False))
            if at_shared < len(shared) and shared[at_shared] == key:
                at_shared += 1
    return result


def _with_named(tree: FieldSet, shape: Shape) -> FieldSet:
    """Return the set with the structure fields that lead to members as members, too."""
    result: FieldSet = {}
    for key, node in tree.items():
        kind, _, name = key.partition(":")
        inner = shape.element or managed.DEDUCED
        named = False
        if kind == "f" and name in shape.fields:
            inner, named = shape.fields[name].shape, True
        below = _with_named(node, inner) if node and key != SELF else node
        if named and below and SELF not in below:
            below = {SELF: _LEAF, **below}
        result[key] = below
    return result


def _remove(value: Json, gone: FieldSet, shape: Shape) -> Json:
    """Return `value` without the members of `gone`; containers that lose parts stay, be it empty."""
    if not gone or shape.atomic:
        return value
    element = shape.element or managed.DEDUCED
    if isinstance(value, dict):
        result = {}
        for name, part in value.items():
            node = gone.get(f"f:{name}")
            if node is None:
                result[name] = part
            elif not is_member(node):
                field = shape.fields.get(name)
                result[name] = _remove(part, node, field.shape if field is not None else element)
        return result
    if isinstance(value, list) and shape.kind == "list" and shape.list_type != "atomic":
        items = []
        for item in value:
            node = gone.get(item_key(item, shape))
            if node is None:
                items.append(item)
            elif not is_member(node):
                items.append(_remove(item, node, element))
        return items
    return value


# --- conflicts ---


def _printed(entry: Object) -> str:
    shown = orjson.dumps(entry.get("manager", "")).decode()
    if entry.get("subresource"):
        shown += f" with subresource {orjson.dumps(entry['subresource']).decode()}"
    if entry.get("operation") == "Update":
        shown += f" using {entry.get('apiVersion', '')}"
    return shown


def _conflict(conflicts: list[tuple[Object, FieldSet]]) -> Conflict:
    found = [(entry, text(path)) for entry, fields in conflicts for path in paths(fields)]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {_printed(entry)}", "field": path}
        for entry, path in found
    ]
    if len(found) == 1:
        entry, path = found[0]
        message = f"Apply failed with 1 conflict: conflict with {_printed(entry)}: {path}"
    else:
        by_manager: dict[str, list[str]] = {}
        for entry, path in found:
            by_manager.setdefault(_printed(entry), []).append(path)
        lines = []
        for shown in sorted(by_manager):
            lines.append(f"conflicts with {shown}:")
            lines += [f"- {path}" for path in by_manager[shown]]
        message = f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)
    return Conflict(message, details={"causes": causes})


# --- kubectl's client-side apply ---


def _without_own_past(
    conflicts: list[tuple[Object, FieldSet]], live: Object, shape: Shape, api_version: str
) -> list[tuple[Object, FieldSet]]:
    """Return the conflicts that are not over what kubectl itself applied on the client's side before."""
    try:
        last = orjson.loads(metadata.annotations(live).get(LAST_APPLIED) or "")
        if not isinstance(last, dict) or last.get("apiVersion") != api_version:
            return conflicts
        changes = compare(last, live, shape)
        owned = difference(difference(field_set(last, shape), changes.changed), changes.removed)
    except (orjson.JSONDecodeError, CompareError):
        return conflicts
    left = ((entry, difference(fields, owned)) for entry, fields in conflicts)
    return [(entry, fields) for entry, fields in left if fields]


def _last_applied(config: Object) -> str:
    meta = dict(config.get("metadata") or {})
    rest = {key: value for key, value in (meta.get("annotations") or {}).items() if key != LAST_APPLIED}
    if rest:
        meta["annotations"] = rest
    else:
        meta.pop("annotations", None)
    encoded = orjson.dumps({**config, "metadata": meta}, option=orjson.OPT_SORT_KEYS).decode()
    for char in "<>&":
        encoded = encoded.replace(char, f"\\u{ord(char):04x}")
    return encoded + "\n"


# --- types ---


def _check_types(config: Object, shape: Shape) -> None:
    errors = _type_errors(config, shape, "")
    if not errors:
        return
    meta = _meta(config)
    group, version = metadata.split_api_version(config.get("apiVersion") or "")
    name = f"{meta.get('namespace') or ''}/{meta.get('name') or ''}"
    what = f"{name}; {group}/{version}, Kind={config.get('kind')}"
    listed = errors[0] if len(errors) == 1 else "\n".join(["errors:", *(f"  {error}" for error in errors)])
    raise PlainError(f"failed to create typed patch object ({what}): {listed}")


_SCALARS = {"string": str, "bytes": str, "bool": bool}


def _type_errors(value: Json, shape: Shape, path: str) -> list[str]:
    """Return what does not fit, in upstream's words; `path` is the value's own."""
    if value is None:
        return []
    match shape.kind:
        case "struct" | "map":
            return _map_errors(value, shape, path)
        case "list":
            return _list_errors(value, shape, path)
        case "int32" | "int64" | "number":
            if isinstance(value, int | float) and not isinstance(value, bool):
                return []
            return [f"{path}: expected numeric (int or float), got {_go_type(value)}"]
        case "string" | "bytes":
            if isinstance(value, str):
                return []
            shown = syntax(value, "string")
            return [f"{path}: expected string, got &value.valueUnstructured{{Value:{shown}}}"]
        case "bool":
            if isinstance(value, bool):
                return []
            return [f"{path}: expected boolean, got &{{{plain(value)}}}"]
        case _:
            return []


def _go_type(value: Json) -> str:
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    return {bool: "bool", str: "string"}.get(type(value), "float64")


def _map_errors(value: Json, shape: Shape, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: expected map, got &{{{plain(value)}}}"]
    errors: list[str] = []
    for name, part in value.items():
        field = shape.fields.get(name)
        if field is None and shape.kind == "struct" and not shape.preserve_unknown:
            return [*errors, f"{path}.{name}: field not declared in schema"]
        inner = field.shape if field is not None else shape.element or managed.DEDUCED
        errors += _type_errors(part, inner, f"{path}.{name}")
    return errors


def _list_errors(value: Json, shape: Shape, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: expected list, got &{{{plain(value)}}}"]
    element = shape.element or managed.DEDUCED
    errors: list[str] = []
    seen = set()
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        if shape.list_type != "atomic":
            try:
                key = item_key(item, shape)
            except CompareError as error:
                return [*errors, f"{path}: element {index}: {error}"]
            where = path + text((key,))
            if key in seen:
                errors.append(f"{path}: duplicate entries for key {text((key,))}")
            seen.add(key)
        errors += _type_errors(item, element, where)
    return errors
