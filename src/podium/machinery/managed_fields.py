"""Who owns which fields: metadata.managedFields, kept current on every write that is not an apply.

A write's manager comes to own what the write adds or changes; everybody loses what it removes. A write that
changes nothing leaves everything as it is, times included. Upstream: apimachinery/pkg/util/managedfields.

Call `update` with the object as the client means it: decoded, defaulted and completed, but before admission
and the registry fill in what is theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache

from podium.base.clock import parse_rfc3339, rfc3339
from podium.machinery.compare import CompareError, compare
from podium.machinery.errors import Json, Object
from podium.machinery.fieldset import FieldSet, difference, of_paths, union, without_below
from podium.machinery.schema import Schema
from podium.machinery.shape import Shape

Translate = Callable[[Object], FieldSet]
"""Entry -> its fields, in the terms of the version at hand."""

UPDATE_MANAGERS_MAX = 10
ANCIENT_CHANGES = "ancient-changes"
BEFORE_FIRST_APPLY = "before-first-apply"

FIELDS_TYPE = "FieldsV1"
DEDUCED = Shape(kind="any", go_type="interface {}")
"""The shape of objects without a schema: maps are granular, lists are atomic."""

_META_STRIPPED = frozenset(
    (
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    )
)
"""What nobody owns, besides apiVersion, kind and metadata itself."""


def update(
    new: Object,
    old: Object | None,
    *,
    manager: str,
    api_version: str,
    now: datetime,
    schema: Schema | None,
    operation: str = "Update",
    subresource: str = "",
    ignored: tuple[tuple[str, ...], ...] = (),
    translate: Translate | None = None,
) -> None:
    """Set `new`'s managedFields to what they are after `manager` wrote it over `old` (None: created it).

    `new` is the caller's to change; `old` stays as it is, and entries that stay the same are shared with it.
    `ignored` are paths that this write cannot set (the strategy resets them): `("status",)`.
    `translate` reads entries of other versions, where there are some that name fields otherwise.
    A client may hand in managedFields of its own; an empty list, or one empty entry, clears them.
    """
    before = entries_to_start_with(new, old, subresource)
    if not before and old is not None:
        # Nobody is tracked on this object any more, and a mere update does not start it again.
        _put(new, [])
        return
    live = _relevant(old) if old is not None else _blank(schema)
    try:
        difference_ = compare(live, _relevant(new), shape_of(schema))
    except CompareError:
        _put(new, before)
        return
    if not difference_:
        _put(new, before)
        return
    excluded = _paths(ignored)
    gained = strip_meta(without_below(difference_.changed, excluded))
    if not before:
        _put(new, [new_entry(manager, operation, api_version, subresource, gained, now)] if gained else [])
        return
    lost = without_below(difference_.removed, excluded)
    gone = union(gained, lost)
    if translate is None:
        entries = [entry for entry in (without(entry, gone) for entry in before) if entry is not None]
    else:
        entries = kept(before, gone, translate, api_version)
    if gained:
        mine = new_entry(manager, operation, api_version, subresource, gained, now)
        entries = add(entries, mine)
    _put(new, in_order(cap(entries)))


_paths = lru_cache(maxsize=64)(of_paths)
"""What writes of one kind ignore is always the same."""


def kept(entries: Iterable[Object], gone: FieldSet, translate: Translate, api_version: str) -> list[Object]:
    """Return what is left of entries, some of other versions, when the fields `gone` are theirs no longer.

    An entry that the version at hand cannot be subtracted from in its own terms is said in those of
    `api_version` from then on.
    """
    result: list[Object] = []
    for entry in entries:
        fields = translate(entry)
        rest = difference(fields, gone)
        if rest is fields or rest == fields:
            result.append(entry)
        elif rest:
            own = without(entry, gone)
            same_terms = own is not None and translate(own) == rest
            result.append(
                own
                if own is not None and same_terms
                else {**entry, "apiVersion": api_version, "fieldsV1": rest}
            )
    return _folded(result)


def _folded(entries: list[Object]) -> list[Object]:
    """Return the entries with those of one manager made one: it may have been known in two versions."""
    found: dict[tuple[str, str, str, str], Object] = {}
    for entry in entries:
        who = identity(entry)
        known = found.get(who)
        found[who] = (
            entry if known is None else {**known, "fieldsV1": union(fields_of(known), fields_of(entry))}
        )
    return list(found.values())


def shape_of(schema: Schema | None) -> Shape:
    return schema.shape if schema is not None else DEDUCED


def _put(obj: Object, entries: list[Object]) -> None:
    meta = obj.setdefault("metadata", {})
    if entries:
        meta["managedFields"] = entries
    else:
        meta.pop("managedFields", None)


def _relevant(obj: Object) -> Object:
    """Return the object without what nobody owns."""
    result = obj.copy()
    result.pop("apiVersion", None)
    result.pop("kind", None)
    meta = result.get("metadata")
    if isinstance(meta, dict):
        result["metadata"] = left = meta.copy()
        for name in _META_STRIPPED.intersection(meta):
            del left[name]
    return result


def _blank(schema: Schema | None) -> Object:
    """Return what a creation is compared with. Read-only: it is made once."""
    if schema is None:
        return {}
    blank: Object = schema.shape.once("blank", lambda _shape: _relevant(schema.skeleton()))
    return blank


def strip_meta(tree: FieldSet) -> FieldSet:
    """Return a set without the paths that nobody owns."""
    return difference(tree, _STRIPPED)


_STRIPPED = of_paths(
    [("apiVersion",), ("kind",), ("metadata",), *(("metadata", name) for name in sorted(_META_STRIPPED))]
)


# --- entries ---


def entries_of(obj: Object | None) -> list[Object]:
    """Return the managedFields of an object, an empty list when they make no sense."""
    if obj is None:
        return []
    entries = (obj.get("metadata") or {}).get("managedFields") or []
    return entries if _are_valid(entries) else []


def entries_to_start_with(new: Object, old: Object | None, subresource: str) -> list[Object]:
    """Return the entries that a write starts from: the client's own if it sent some, else the live ones."""
    if subresource:
        return entries_of(old)
    sent = (new.get("metadata") or {}).get("managedFields")
    if sent in ([], [{}]):
        return []
    if sent and _are_valid(sent):
        if old is not None and sent == (old.get("metadata") or {}).get("managedFields"):
            return entries_of(old)
        if all(_is_field_set(fields_of(entry)) for entry in sent):
            return in_order(sent)
    return entries_of(old)


def _is_field_set(tree: Json) -> bool:
    """Tell whether a client's `fieldsV1` can be read."""
    return isinstance(tree, dict) and all(
        (key == "." or key[:2] in ("f:", "k:", "v:", "i:")) and _is_field_set(below)
        for key, below in tree.items()
    )


def _are_valid(entries: Json) -> bool:
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and entry.get("operation") in ("Apply", "Update")
        and entry.get("fieldsType", FIELDS_TYPE) == FIELDS_TYPE
        and isinstance(entry.get("fieldsV1", {}), dict)
        for entry in entries
    )


def fields_of(entry: Object) -> FieldSet:
    fields: FieldSet = entry.get("fieldsV1") or {}
    return fields


def new_entry(
    manager: str, operation: str, api_version: str, subresource: str, fields: FieldSet, now: datetime | None
) -> Object:
    entry: Object = {"manager": manager or "unknown", "operation": operation, "apiVersion": api_version}
    if now is not None:
        entry["time"] = rfc3339(now)
    entry["fieldsType"] = FIELDS_TYPE
    entry["fieldsV1"] = fields
    if subresource:
        entry["subresource"] = subresource
    return entry


def identity(entry: Object) -> tuple[str, str, str, str]:
    """Return what makes an entry the same manager's: an applier is one whatever version it applies."""
    operation = entry.get("operation", "")
    version = "" if operation == "Apply" else entry.get("apiVersion", "")
    return entry.get("manager", ""), operation, version, entry.get("subresource", "")


def with_fields(entry: Object, fields: FieldSet) -> Object | None:
    """Return the entry with other fields: itself when they are the same, None when there are none."""
    if not fields:
        return None
    if fields is entry.get("fieldsV1"):
        return entry
    return {**entry, "fieldsV1": fields}


def without(entry: Object, lost: FieldSet) -> Object | None:
    return with_fields(entry, difference(fields_of(entry), lost))


def add(entries: list[Object], mine: Object) -> list[Object]:
    """Return `entries` with the fields of `mine` added to its manager's, at its time."""
    who = identity(mine)
    for index, entry in enumerate(entries):
        if identity(entry) == who:
            merged = {**entry, "time": mine["time"], "fieldsV1": union(fields_of(entry), fields_of(mine))}
            return [*entries[:index], merged, *entries[index + 1 :]]
    return [*entries, mine]


def in_order(entries: list[Object]) -> list[Object]:
    """Return the entries as upstream orders them: Apply first, then by age."""
    return sorted(entries, key=_sort_key) if len(entries) > 1 else entries


def _sort_key(entry: Object) -> tuple[str, float, str, str, str]:
    return (
        entry.get("operation", ""),
        _seconds(entry),
        entry.get("manager", ""),
        entry.get("apiVersion", ""),
        entry.get("subresource", ""),
    )


def _seconds(entry: Object) -> float:
    text = entry.get("time")
    if not text:
        return 0
    try:
        return parse_rfc3339(text).timestamp()
    except ValueError:
        return 0


def cap(entries: list[Object]) -> list[Object]:
    """Return the entries with the oldest updaters merged, by version, until no more than ten are left."""
    if len(entries) <= UPDATE_MANAGERS_MAX:
        return entries
    updaters = sorted(
        (entry for entry in entries if entry.get("operation") == "Update"),
        key=lambda entry: (_seconds(entry), entry.get("manager", ""), entry.get("subresource", "")),
    )
    excess = len(updaters) - UPDATE_MANAGERS_MAX
    if excess <= 0:
        return entries
    kept = {id(entry): entry for entry in entries}
    first: dict[str, Object] = {}
    buckets: dict[str, Object] = {}
    for entry in updaters:
        if excess <= 0:
            break
        version = entry.get("apiVersion", "")
        bucket = buckets.get(version) or first.get(version)
        if bucket is None:
            first[version] = entry
            continue
        merged = new_entry(
            ANCIENT_CHANGES, "Update", version, "", union(fields_of(bucket), fields_of(entry)), None
        )
        if entry.get("time"):
            merged["time"] = entry["time"]
        del kept[id(bucket)], kept[id(entry)]
        kept[id(merged)] = buckets[version] = merged
        excess -= 1
    return list(kept.values())


def ignore_new_times(new: Object, old: Object) -> None:
    """Give `new` the managedFields of `old` when all that differs between the two is their times.

    So a write that changes nothing but the moment of owning what it owned already is no write at all.
    """
    meta, before = new.get("metadata") or {}, old.get("metadata") or {}
    mine, theirs = meta.get("managedFields") or [], before.get("managedFields") or []
    if mine is theirs or mine == theirs or len(mine) != len(theirs):
        return
    timeless = [sorted_without_time(entries) for entries in (mine, theirs)]
    if timeless[0] == timeless[1] and _relevant(new) == _relevant(old):
        meta["managedFields"] = theirs


def sorted_without_time(entries: list[Object]) -> list[Object]:
    bare = [{key: value for key, value in entry.items() if key != "time"} for entry in entries]
    return sorted(bare, key=identity)
