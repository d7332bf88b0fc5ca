"""A Scale, which stands for the replicas of a larger object, and the way back into that object."""

from __future__ import annotations

from typing import Any

from podium.machinery import labels
from podium.machinery.errors import Object
from podium.machinery.resource import Scale

KIND = "Scale"
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def of(declared: Scale, obj: Object) -> Object:
    """Return the Scale of an object."""
    metadata = {name: obj["metadata"][name] for name in _METADATA if name in obj["metadata"]}
    replicas = get_at(obj, declared.replicas)
    status: Object = {"replicas": get_at(obj, declared.status_replicas) or 0}
    selector = declared.selector(obj)
    if selector:
        status |= _split(selector) if declared.split_selector else {"selector": selector}
    spec = {"replicas": replicas} if replicas else {}
    return {
        "kind": KIND,
        "apiVersion": declared.version,
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def _split(selector: str) -> Object:
    """Return a selector as scales of old had it: its text, and its labels when these say it all."""
    requirements = labels.parse(selector).requirements
    if any(requirement.operator not in ("=", "==") for requirement in requirements):
        return {"targetSelector": selector}
    pairs = {requirement.key: next(iter(requirement.values)) for requirement in requirements}
    return {"selector": pairs, "targetSelector": selector}


def replicas_of(scale: Object) -> int:
    """Return how many replicas a Scale asks for."""
    return (scale.get("spec") or {}).get("replicas") or 0


def get_at(obj: Object, path: str) -> Any:
    value: Any = obj
    for part in path.removeprefix(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def put(obj: Object, path: str, value: Any) -> None:
    *parents, last = path.removeprefix(".").split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value
