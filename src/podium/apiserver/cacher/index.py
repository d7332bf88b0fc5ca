"""An index of one root: which objects have which value, of one field or one label.

Made when a selector first asks for it, and kept from then on by every change: a list that selects one object
in a hundred then looks at that one, not at the hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set

from podium.apiserver.cacher.entry import Entry

INDEXED_FROM = 256
"""Smaller roots are looked through faster than an index is worth."""
INDEXES_MAX = 8
"""Of one root; each costs memory and a little of every write. What more is asked for is looked through."""

_NOBODY: frozenset[str] = frozenset()


class Index:
    """Keys by value."""

    __slots__ = ("_keys", "_value_of")

    def __init__(self, value_of: Callable[[Entry], str | None], entries: Iterable[Entry]) -> None:
        """`value_of` is None for what has no value, which nobody asks for."""
        self._value_of = value_of
        self._keys: dict[str, set[str]] = {}
        for entry in entries:
            self._add(entry)

    def keys(self, value: str) -> Set[str]:
        return self._keys.get(value, _NOBODY)

    def change(self, old: Entry | None, new: Entry | None) -> None:
        """Take a change of one object."""
        if old is not None and (value := self._value_of(old)) is not None:
            keys = self._keys[value]
            keys.discard(old.key)
            if not keys:
                del self._keys[value]
        if new is not None:
            self._add(new)

    def _add(self, entry: Entry) -> None:
        value = self._value_of(entry)
        if value is not None:
            self._keys.setdefault(value, set()).add(entry.key)
