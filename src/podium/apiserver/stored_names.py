"""Whose keys are whose in the store: for the figures, which speak of resources, and for encryption."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podium.apiserver.cacher.cacher import REGISTRY, Cacher
from podium.apiserver.cacher.root import Root
from podium.apiserver.registry.served import Catalog


class StoredNames:
    """Finds resources by the keys that their objects are stored under."""

    def __init__(self, cacher: Cacher, catalog: Catalog) -> None:
        self._cacher = cacher
        self._catalog = catalog
        self._by_root: Mapping[str, tuple[str, str]] | None = None
        catalog.on_change(self._forget)

    def _forget(self) -> None:
        self._by_root = None

    def _known(self) -> Mapping[str, tuple[str, str]]:
        """Return group and plural of each resource, by the prefix of its keys."""
        if self._by_root is None:
            self._by_root = {
                served.root.prefix: (served.storage.group, served.storage.plural)
                for resources in self._catalog.versions().values()
                for served in resources.values()
                if served.resource.stored
            }
        return self._by_root

    def resource_of(self, key: str) -> tuple[str, str]:
        """Return group and plural of the resource that a key belongs to, empty where nobody can tell."""
        root = self._cacher.owner(key)
        if root is not None:
            return self._known().get(root.prefix, ("", ""))
        # A custom resource whose definition has not been seen yet.
        group, _, rest = key.removeprefix(REGISTRY).partition("/")
        return (group, rest.partition("/")[0]) if "." in group else ("", "")

    def root_of(self, key: str) -> str:
        """Return the prefix of all keys of the resource that a key belongs to."""
        root = self._cacher.owner(key)
        return root.prefix if root is not None else "/".join(key.split("/", 4)[:4])

    def roots(self) -> Iterator[tuple[str, str, Root]]:
        """Yield group, plural and cached objects of each resource that is served."""
        names = self._known()
        for root in self._cacher.roots():
            if root.prefix in names:
                yield *names[root.prefix], root
