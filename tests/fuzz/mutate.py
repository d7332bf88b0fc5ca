"""Mutations of objects and of bytes: what a careless client, or a careful attacker, might send.

Everything is drawn from one seeded generator, so that a failure can be had again from its seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

_ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    -(2**31) - 1,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
    0.1,
    -0.0,
    1e308,
    "",
    " ",
    "0",
    "-1",
    "1e999999999",
    "9" * 400,
    "1" + "0" * 5000 + "Ki",
    "nan",
    "a" * 300,
    "A.B_c-",
    "..",
    "a/b/c",
    "a=b,c in (d",
    "\x00",
    "\x7f\n\r\t",
    "\ufeffé日本\U0001f600",
    "{}",
    "$(x",
    "2020-01-01T00:00:00Z",
    "9999-99-99T99:99:99Z",
    "0000-00-00T00:00:00Z",
    "10.0.0.0/99",
    "::ffff:1.2.3.4",
    "300.1.1.1",
    "100%",
    "-5%",
    [],
    {},
    [None],
    [[]],
    [{}],
    [{}, {}],
    {"": None},
    {"": {"": {}}},
    {"metadata": {"metadata": []}},
    {"$patch": "delete"},
    {"$patch": "x"},
    {"$retainKeys": [1]},
    {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In"}]},
)


class Mutator:
    """Draws mutations from `chance`."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self._ways: tuple[Callable[[Any, Any], None], ...] = (
            self._drop,
            self._retype,
            self._retype,
            self._replace_kin,
            self._enlarge,
            self._duplicate,
            self._swap,
            self._rename,
        )

    def odd(self) -> Any:
        return _copy(self.chance.choice(_ODD_VALUES))

    def mutate(self, obj: Any, times: int) -> Any:
        """Change `obj` in place in `times` places; return it."""
        for _ in range(times):
            places = list(_places(obj))
            if not places:
                break
            holder, key = self.chance.choice(places)
            self.chance.choice(self._ways)(holder, key)
        if times and self.chance.random() < 0.05:
            # Last, for it may go deeper than the other ways can follow.
            places = list(_places(obj))
            if places:
                self._nest(*self.chance.choice(places))
        return obj

    def _drop(self, holder: Any, key: Any) -> None:
        del holder[key]

    def _retype(self, holder: Any, key: Any) -> None:
        holder[key] = self.odd()

    def _replace_kin(self, holder: Any, key: Any) -> None:
        """Another value of the same type: it decodes, and validation has to deal with it."""
        kin = [value for value in _ODD_VALUES if type(value) is type(holder[key])]
        if kin:
            holder[key] = _copy(self.chance.choice(kin))

    def _nest(self, holder: Any, key: Any) -> None:
        value = holder[key]
        for _ in range(self.chance.choice((1, 2, 40, 120, 240, 300, 480, 700, 3000))):
            value = [value] if self.chance.random() < 0.5 else {"a": value}
        holder[key] = value

    def _enlarge(self, holder: Any, key: Any) -> None:
        value, times = holder[key], self.chance.choice((2, 50, 1000))
        if isinstance(value, str):
            holder[key] = (value or "x") * times
        elif isinstance(value, list):
            holder[key] = [_copy(part) for _ in range(min(times, 50)) for part in value][:1000]
        elif isinstance(value, dict):
            for number in range(times):
                value[f"k{number}"] = "v"
        elif isinstance(value, int | float):
            holder[key] = value * 10**times if times < 300 else 1e300

    def _duplicate(self, holder: Any, key: Any) -> None:
        if isinstance(holder, list):
            holder.insert(key, _copy(holder[key]))
        else:
            holder[str(key) + "X"] = _copy(holder[key])

    def _swap(self, holder: Any, key: Any) -> None:
        other = self.chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        holder[key], holder[other] = holder[other], holder[key]

    def _rename(self, holder: Any, key: Any) -> None:
        if isinstance(holder, dict):
            holder[self.chance.choice(("", "x", "metadata", "spec", "$patch", "kind", "~1"))] = holder.pop(
                key
            )

    def bytes(self, data: bytes) -> bytes:
        """Return `data` with a few of its bytes flipped, cut out, repeated or replaced."""
        result = bytearray(data)
        for _ in range(self.chance.randrange(1, 8)):
            if not result:
                break
            at = self.chance.randrange(len(result))
            match self.chance.randrange(6):
                case 0:
                    result[at] ^= 1 << self.chance.randrange(8)
                case 1:
                    result[at] = self.chance.choice((0, 0x7F, 0x80, 0xFF, *b'"{}[]:,\\\n'))
                case 2:
                    del result[at : at + self.chance.randrange(1, 20)]
                case 3:
                    result[at:at] = result[at : at + self.chance.randrange(1, 40)]
                case 4:
                    result[at:at] = self.chance.randbytes(self.chance.randrange(1, 10))
                case 5:
                    del result[at:]
        return bytes(result)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in a value."""
    found: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        here = stack.pop()
        parts = here.items() if isinstance(here, dict) else enumerate(here)
        for key, part in parts:
            found.append((here, key))
            if isinstance(part, dict | list):
                stack.append(part)
    return found


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_copy(part) for part in value]
    return value
