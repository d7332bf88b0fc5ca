"""Values as small numbers, so that columns can hold them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

NOTHING = 0
"""The number that no value has."""


class Interner(Generic[T]):
    """Gives each value in use a number from 1 on. Numbers of values no longer in use are given out again."""

    def __init__(self) -> None:
        self._numbers: dict[T, int] = {}
        self._values: list[T | None] = [None]
        self._uses: list[int] = [0]
        self._free: list[int] = []

    def acquire(self, value: T) -> int:
        """Return the value's number, counting one more use of it."""
        number = self._numbers.get(value)
        if number is None:
            if self._free:
                number = self._free.pop()
                self._values[number] = value
            else:
                number = len(self._values)
                self._values.append(value)
                self._uses.append(0)
            self._numbers[value] = number
        self._uses[number] += 1
        return number

    def release(self, number: int) -> None:
        """Take back one `acquire`."""
        self._uses[number] -= 1
        assert self._uses[number] >= 0, "released more often than acquired"
        if self._uses[number] == 0:
            value = self._values[number]
            self._values[number] = None
            del self._numbers[value]  # type: ignore[arg-type]
            self._free.append(number)

    def find(self, value: T) -> int:
        """Return the number of a value, `NOTHING` when it is not in use."""
        return self._numbers.get(value, NOTHING)

    def items(self) -> Iterator[tuple[int, T]]:
        """Yield every value in use with its number."""
        for value, number in self._numbers.items():
            yield number, value

    @property
    def size(self) -> int:
        """One more than the highest number ever given out: the length of a table indexed by numbers."""
        return len(self._values)

    def __len__(self) -> int:
        return len(self._numbers)
