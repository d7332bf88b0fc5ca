"""Sets of completion indexes in their text form, `0,2-5,7`. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def parse(text: str, below: int | None = None) -> set[int]:
    """Return the indexes of a text, but for those from `below` on; parts that are none are passed over."""
    result: set[int] = set()
    for part in filter(None, text.split(",")):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            continue
        end = int(last if dash else first) + 1
        result.update(range(int(first), end if below is None else min(end, below)))
    return result


def text(indexes: Iterable[int]) -> str:
    """Return the text, with runs of three and more joined by a dash."""
    parts: list[tuple[int, int]] = []
    for index in sorted(indexes):
        if parts and parts[-1][1] == index - 1:
            parts[-1] = (parts[-1][0], index)
        else:
            parts.append((index, index))
    return ",".join(_part(first, last) for first, last in parts)


def _part(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"
