"""A short way to say what is wrong with an object: one line a fault, as people see it."""

from __future__ import annotations

from typing import Any

from podium.machinery.errors import FieldError
from podium.machinery.meta import deep_copy
from podium.machinery.patch import merge
from podium.machinery.resource import Resource


def faults(resource: Resource, obj: Any, old: Any = None, *, subresource: str = "") -> list[str]:
    """Return `field: message` for each fault of a new object, or of a change from `old`."""
    obj = deep_copy(obj)
    resource.defaults(obj)
    if old is None:
        return _texts(resource.validate(obj))
    old = deep_copy(old)
    resource.defaults(old)
    if subresource == "status":
        errors = resource.validate_status_update(obj, old)
    else:
        errors = resource.validate_update(obj, old)
    return _texts(errors)


def _texts(errors: list[FieldError]) -> list[str]:
    return [f"{error.field}: {error.message}" for error in errors]


def changed(obj: Any, patch: Any) -> Any:
    """Return a copy of `obj` with a merge patch applied; lists are replaced."""
    return merge.apply(deep_copy(obj), patch)
