"""Which value of the old object stands for which of the new one, and whether it has stayed the same.

An update is not blamed for what it leaves alone. Upstream: apiserver/pkg/cel/common/equality.go.
"""

from __future__ import annotations

from functools import cached_property

from podium.machinery.errors import Json, Object
from podium.machinery.structural.values import ABSENT, correlated, key_of, same

_UNSEEN = ("apiVersion", "kind")


class Correlation:
    """A place in an object. `old` is ABSENT where nothing of the old object corresponds to it.

    `parent` is the nearest place above that has an old value.
    """

    __slots__ = ("__dict__", "_schema", "new", "old", "parent")

    def __init__(self, new: Json, old: Json, schema: Json, parent: Correlation | None = None) -> None:
        self.new = new
        self.old = old
        self.parent = parent
        self._schema: Object | None = schema if isinstance(schema, dict) else None

    @cached_property
    def unchanged(self) -> bool:
        """Whether what stands here, or the nearest place above with an old value, is as it was."""
        if self.old is ABSENT:
            return self.parent is not None and self.parent.unchanged
        return _equal(self.new, self.old, self._schema)

    def key(self, name: str) -> Correlation:
        """Return the place of a field or of a map's entry."""
        if self.old is ABSENT:
            return Correlation(self.new, ABSENT, None, self.parent)
        if self.parent is None and name in _UNSEEN:
            return Correlation(None, ABSENT, None)
        old = self.old.get(name, ABSENT) if isinstance(self.old, dict) else ABSENT
        schema = _below(self._schema, name)
        return Correlation(self.new[name], old if schema is not None else ABSENT, schema, self)

    def index(self, at: int) -> Correlation:
        """Return the place of a list's item, which has an old value in lists of type map alone."""
        if self.old is ABSENT:
            return Correlation(self.new, ABSENT, None, self.parent)
        item = self.new[at]
        schema = self._schema or {}
        old = self._items.get(key_of(schema, item), ABSENT) if self._items else ABSENT
        return Correlation(item, old, schema.get("items"), self)

    @cached_property
    def _items(self) -> dict[bytes, Json]:
        return correlated(self._schema, self.old) if self._schema is not None else {}


def _below(schema: Object | None, name: str) -> Object | None:
    if schema is None:
        return None
    found = (schema.get("properties") or {}).get(name, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else None


def _equal(new: Json, old: Json, schema: Object | None) -> bool:
    """Compare by the schema: lists of type map without regard to order; unknown fields count as changed."""
    if new is None or old is None:
        return new is old
    if isinstance(new, list):
        return isinstance(old, list) and len(new) == len(old) and _equal_lists(new, old, schema or {})
    if isinstance(new, dict):
        if not isinstance(old, dict) or len(new) != len(old):
            return False
        for name, value in new.items():
            inner = _below(schema, name)
            if name not in old or inner is None or not _equal(value, old[name], inner):
                return False
        return True
    return same(new, old)


def _equal_lists(new: list[Json], old: list[Json], schema: Object) -> bool:
    before = correlated(schema, old)
    if not before:
        return same(new, old)
    items = schema.get("items")
    return all((key := key_of(schema, item)) in before and _equal(item, before[key], items) for item in new)
