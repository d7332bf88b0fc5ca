"""The frame of one evaluation: what it has cost so far, what it may cost, then a slot for every variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podium.machinery.cel.errors import CostExceeded

COST, LIMIT, FIRST = 0, 1, 2
UNBOUND = object()
CONVERSIONS = frozenset(["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "uint"])
# What a fault inside a library comes to when a value was not of the type that the schema promised.
SURPRISES = (TypeError, AttributeError, ValueError, KeyError, IndexError, OverflowError)

Frame = list[Any]
Run = Callable[[Frame], Any]
Convert = Callable[[Any], Any]


def charged(frame: Frame) -> None:
    """Stop the evaluation when it has cost too much."""
    if frame[COST] > frame[LIMIT]:
        raise CostExceeded
