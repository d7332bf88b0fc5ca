"""Sets of completion indexes, as jobs write them: `1,3-5`."""

from __future__ import annotations

import re

from podium.machinery.errors import shown


class BadIndexes(ValueError):
    """The message is upstream's."""


def count_indexes(text: str, completions: int) -> int:
    """Return how many indexes `text` holds; each must be below `completions`, and they must rise."""
    total, last = 0, None
    for interval in text.split(",") if text else ():
        first, end = parse_interval(interval, completions)
        if last is not None and last >= first:
            raise BadIndexes(f"non-increasing order, previous: {last}, current: {first}")
        total += end - first + 1
        last = end
    return total


def parse_interval(text: str, completions: int) -> tuple[int, int]:
    """Return the first and the last index of an interval, which may be one index alone."""
    limits = text.split("-")
    if len(limits) > 2:
        raise BadIndexes(
            f"the fragment {shown(text)} violates the requirement that an index interval can have at most "
            "two parts separated by '-'"
        )
    first = _index(limits[0], completions)
    if len(limits) == 1:
        return first, first
    last = _index(limits[1], completions)
    if first >= last:
        raise BadIndexes(f"non-increasing order, previous: {first}, current: {last}")
    return first, last


def _index(text: str, completions: int) -> int:
    # Ten digits are enough for every index there can be; Go reads a sign too.
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise BadIndexes(f"cannot convert string to integer for index: {shown(text)}")
    index = int(text)
    if index >= completions:
        raise BadIndexes(f"too large index: {shown(text)}")
    return index


def overlap(completed: str, failed: str, completions: int) -> int | None:
    """Return the first index that is in both; intervals that cannot be read are left to their own errors."""
    ones, others = _intervals(completed, completions), _intervals(failed, completions)
    one = other = 0
    while one < len(ones) and other < len(others):
        (first, last), (other_first, other_last) = ones[one], others[other]
        if first <= other_last and other_first <= last:
            return max(first, other_first)
        if first <= other_first:
            one += 1
        else:
            other += 1
    return None


def _intervals(text: str, completions: int) -> list[tuple[int, int]]:
    found = []
    for interval in text.split(","):
        try:
            found.append(parse_interval(interval, completions))
        except BadIndexes:
            continue
    return found
