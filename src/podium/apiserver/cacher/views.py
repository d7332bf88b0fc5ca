"""The cache as access control and allocators read it: decoded, shared, read-only objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from podium.apiserver.cacher.cacher import Cacher
from podium.apiserver.cacher.entry import Entry, Event
from podium.apiserver.chain import View, ViewChange
from podium.machinery.errors import Object
from podium.machinery.resource import Resource


class CachedView:
    """One resource's `View` (see `chain`)."""

    def __init__(self, cacher: Cacher, resource: Resource) -> None:
        self._resource = resource
        self._root = cacher.root(resource.storage_root)

    def _object(self, entry: Entry) -> Object:
        return entry.shared(self._resource.kind, self._resource.api_version)

    def get(self, namespace: str | None, name: str) -> Object | None:
        key = f"{namespace}/{name}" if self._resource.namespaced else name
        entry = self._root.entries.get(key)
        return None if entry is None else self._object(entry)

    def list(self, namespace: str | None = None) -> Iterable[Object]:
        if not self._root.entries:
            return []
        prefix = f"{namespace}/" if namespace else ""
        return [self._object(entry) for entry in self._root.range(prefix)]

    def subscribe(self, handler: Callable[[ViewChange], None]) -> None:
        kind, api_version = self._resource.kind, self._resource.api_version

        def translate(event: Event) -> None:
            # Not kept: a decoded pod weighs ten times its bytes, and a subscriber takes what it needs.
            old, new = event.previous, event.entry
            handler(
                ViewChange(
                    old=None if old is None else old.passing(kind, api_version),
                    new=None if new is None else new.passing(kind, api_version),
                )
            )

        self._root.subscribe(translate)


class CachedReader:
    """Gives out views (`chain.Reader`)."""

    def __init__(self, cacher: Cacher) -> None:
        self._cacher = cacher

    def cached(self, resource: Resource) -> View:
        return CachedView(self._cacher, resource)
