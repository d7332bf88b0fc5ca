"""Caches keyed by what clients write."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

T = TypeVar("T")

KEPT_LENGTH_MAX = 512


def kept_if_short(maxsize: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """Keep what a function makes of its last `maxsize` texts, but for long ones.

    What is written a thousand times is short. Long texts, of megabytes maybe, would be kept for whoever wants
    to fill a server's memory.
    """

    def decorate(function: Callable[[str], T]) -> Callable[[str], T]:
        kept = lru_cache(maxsize=maxsize)(function)

        @wraps(function)
        def call(text: str) -> T:
            return kept(text) if len(text) <= KEPT_LENGTH_MAX else function(text)

        return call

    return decorate
