"""A cache as a mapping, for plans: there may be too many objects to put them into one for each look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.runtime.informer import Informer


class ByKey(Mapping[str, Object]):
    """The objects of an informer by their key: the name, or namespace and name."""

    def __init__(self, cache: Informer) -> None:
        self._cache = cache

    def __getitem__(self, key: str) -> Object:
        found = self._cache.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter([meta.key(obj) for obj in self._cache.list()])

    def __len__(self) -> int:
        return len(self._cache)
