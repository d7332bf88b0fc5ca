"""Claims, volumes and classes as the scheduler sees them: what the API has, and what it has assumed itself.

What has been decided counts at once, before the API has it, so that two pods are not promised one volume.
An assumption ends when the API shows a newer version of the object, or when it is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.persistentvolumes import storage_class

KeyOf = Callable[[Object], str]


class Assumable:
    """Objects of one kind by key, with a group for each (to look up a class's volumes quickly)."""

    def __init__(self, group_of: KeyOf = lambda obj: "") -> None:
        self._group_of = group_of
        self._known: dict[str, Object] = {}
        self._assumed: dict[str, Object] = {}
        self._groups: dict[str, dict[str, None]] = {}

    def get(self, key: str) -> Object | None:
        return self._assumed.get(key) or self._known.get(key)

    def group(self, name: str) -> Iterator[Object]:
        """Yield the objects of a group."""
        for key in self._groups.get(name, ()):
            yield self._assumed.get(key) or self._known[key]

    def known(self, key: str) -> Object | None:
        """Return the object as the API last showed it."""
        return self._known.get(key)

    def put(self, obj: Object) -> None:
        """Take over what the API shows."""
        key = meta.key(obj)
        self._leave_group(key)
        self._known[key] = obj
        self._groups.setdefault(self._group_of(obj), {})[key] = None
        assumed = self._assumed.get(key)
        if assumed is not None and meta.resource_version(obj) > meta.resource_version(assumed):
            del self._assumed[key]

    def remove(self, key: str) -> None:
        self._leave_group(key)
        self._known.pop(key, None)
        self._assumed.pop(key, None)

    def assume(self, obj: Object) -> None:
        """Let a changed copy of a known object stand for it; it keeps that one's resourceVersion."""
        if meta.key(obj) in self._known:
            self._assumed[meta.key(obj)] = obj

    def restore(self, key: str) -> None:
        """Take an assumption back."""
        self._assumed.pop(key, None)

    def _leave_group(self, key: str) -> None:
        before = self._known.get(key)
        if before is None:
            return
        name = self._group_of(before)
        self._groups[name].pop(key, None)
        if not self._groups[name]:
            del self._groups[name]


class Volumes:
    """All that volume binding depends on."""

    def __init__(self) -> None:
        self.claims = Assumable()
        self.volumes = Assumable(storage_class)
        self.classes: dict[str, Object] = {}
        self.drivers: dict[str, Object] = {}
        self.capacities: dict[str, Object] = {}
        """CSIStorageCapacities by key."""

    def class_of(self, claim: Object) -> Object | None:
        name = storage_class(claim)
        return self.classes.get(name) if name else None

    def capacities_of(self, class_name: str) -> Iterable[Object]:
        return (c for c in self.capacities.values() if c.get("storageClassName") == class_name)
