"""Reading and building `metadata`: the few accessors every room uses on plain objects.

Accessors never raise on a missing part; they return what upstream's zero value means (an empty string, an
empty mapping). What they return belongs to the object: copy before changing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from podium.base.clock import rfc3339
from podium.machinery.errors import Json, Object

_EMPTY: Mapping[str, str] = {}


def metadata(obj: Object) -> Object:
    """Return the object's metadata, or an empty mapping that belongs to nobody."""
    return obj.get("metadata") or {}


def name(obj: Object) -> str:
    return metadata(obj).get("name") or ""


def namespace(obj: Object) -> str:
    return metadata(obj).get("namespace") or ""


def uid(obj: Object) -> str:
    return metadata(obj).get("uid") or ""


def labels(obj: Object) -> Mapping[str, str]:
    return metadata(obj).get("labels") or _EMPTY


def annotations(obj: Object) -> Mapping[str, str]:
    return metadata(obj).get("annotations") or _EMPTY


def finalizers(obj: Object) -> list[str]:
    return metadata(obj).get("finalizers") or []


def owner_references(obj: Object) -> list[Object]:
    return metadata(obj).get("ownerReferences") or []


def generation(obj: Object) -> int:
    return metadata(obj).get("generation") or 0


def resource_version(obj: Object) -> int:
    """Return the object's version as a number; 0 when it has none or one that is no number."""
    text = metadata(obj).get("resourceVersion") or "0"
    return int(text) if text.isdecimal() else 0


def deleting(obj: Object) -> bool:
    """Tell whether deletion has been asked for; the object stays until its finalizers are gone."""
    return bool(metadata(obj).get("deletionTimestamp"))


def key(obj: Object) -> str:
    """Return `namespace/name`, or `name` for an object without a namespace."""
    meta = metadata(obj)
    space = meta.get("namespace")
    own = meta.get("name") or ""
    return f"{space}/{own}" if space else own


def split_key(text: str) -> tuple[str, str]:
    """Return (namespace, name) of a key; the namespace is empty for cluster-scoped objects."""
    space, slash, own = text.partition("/")
    return (space, own) if slash else ("", space)


def split_api_version(api_version: str) -> tuple[str, str]:
    """Return (group, version) of an apiVersion; the core group is empty."""
    group, slash, version = api_version.partition("/")
    return (group, version) if slash else ("", group)


def controller_ref(obj: Object) -> Object | None:
    """Return the owner reference that says `controller: true`, if there is one."""
    for reference in owner_references(obj):
        if reference.get("controller"):
            return reference
    return None


def controlled_by(obj: Object, owner: Object) -> bool:
    """Tell whether `owner`, this very one by uid, controls the object."""
    reference = controller_ref(obj)
    return reference is not None and reference.get("uid") == uid(owner)


def owner_reference(owner: Object, *, controller: bool = True) -> Object:
    """Return the reference that makes an object a dependent of `owner` (which must have apiVersion and kind).

    A controller's reference also blocks the owner's foreground deletion, as upstream's NewControllerRef.
    """
    reference: Object = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
    }
    if controller:
        reference["controller"] = True
        reference["blockOwnerDeletion"] = True
    return reference


def object_reference(obj: Object) -> Object:
    """Return the ObjectReference to an object, as events carry it."""
    reference: Object = {"kind": obj.get("kind", ""), "apiVersion": obj.get("apiVersion", "")}
    meta = metadata(obj)
    for part in ("namespace", "name", "uid", "resourceVersion"):
        if meta.get(part):
            reference[part] = meta[part]
    return reference


def deep_copy(value: Json) -> Json:
    """Return a copy of a JSON value that shares no dict or list with it."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return value
    try:
        return orjson.loads(orjson.dumps(value))  # twice as fast as walking it
    except (TypeError, orjson.JSONDecodeError):  # a number or a text that orjson does not take
        return _walked_copy(value)


def _walked_copy(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _walked_copy(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_walked_copy(part) for part in value]
    return value


def copy_path(obj: Object, *path: str) -> Object:
    """Return a copy of `obj` in which the dicts along `path` are new (made when missing), the rest shared.

    The cheap way to change one place of a read-only object:
        new = copy_path(pod, "metadata", "labels"); new["metadata"]["labels"]["a"] = "b"
    """
    top = dict(obj)
    here = top
    for part in path:
        here[part] = dict(here.get(part) or {})
        here = here[part]
    return top


def dig(obj: Json, *path: str | int, default: Any = None) -> Any:
    """Return what lies at `path`, or `default` where a part is missing or null."""
    for part in path:
        if isinstance(obj, dict):
            obj = obj.get(part)
        elif isinstance(obj, list) and isinstance(part, int) and -len(obj) <= part < len(obj):
            obj = obj[part]
        else:
            return default
        if obj is None:
            return default
    return obj


def find_condition(obj: Object, type: str) -> Object | None:
    """Return the entry of `status.conditions` with this type."""
    for condition in dig(obj, "status", "conditions", default=()):
        if condition.get("type") == type:
            return dict_or_none(condition)
    return None


def dict_or_none(value: Json) -> Object | None:
    return value if isinstance(value, dict) else None


def condition_true(obj: Object, type: str) -> bool:
    condition = find_condition(obj, type)
    return condition is not None and condition.get("status") == "True"


def set_condition(conditions: list[Object] | None, new: Object, now: datetime) -> list[Object]:
    """Return `conditions` with `new` put in the place of the one of its type, or appended.

    `lastTransitionTime` is the old one while the status stays the same, else `now`; a caller's own wins.
    The argument is left as it is; when nothing changes, the very list is returned.
    """
    before = conditions if conditions is not None else []
    for index, old in enumerate(before):
        if old.get("type") != new.get("type"):
            continue
        merged = dict(new)
        if "lastTransitionTime" not in new:
            same = old.get("status") == new.get("status") and old.get("lastTransitionTime")
            merged["lastTransitionTime"] = old["lastTransitionTime"] if same else rfc3339(now)
        if merged == old:
            return before
        return [*before[:index], merged, *before[index + 1 :]]
    return [*before, {"lastTransitionTime": rfc3339(now), **new}]
