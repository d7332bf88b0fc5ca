"""Who owns which field: the registry's side of `machinery.managed_fields`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podium.apiserver.registry.call import Call
from podium.machinery.errors import Object

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry


def track_create(registry: Registry, call: Call, obj: Object) -> None:
    """Note in metadata.managedFields of the new `obj` that the call's manager set its fields."""


def track_update(registry: Registry, call: Call, new: Object, old: Object) -> None:
    """Note in metadata.managedFields of `new` which fields the call's manager changed."""
