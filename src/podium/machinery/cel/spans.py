"""Sizes and costs as ranges, in upstream's arithmetic: unsigned, and never more than 64 bits hold."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

GREATEST = 2**64 - 1


def _bounded(number: int) -> int:
    return min(number, GREATEST)


@dataclass(frozen=True, slots=True)
class Span:
    """From `least` to `most`: how large a value can be, or what a step can cost."""

    least: int
    most: int

    def __add__(self, other: Span) -> Span:
        return Span(_bounded(self.least + other.least), _bounded(self.most + other.most))

    def __mul__(self, other: Span) -> Span:
        return Span(_bounded(self.least * other.least), _bounded(self.most * other.most))

    def scaled(self, factor: float) -> Span:
        """Return the span times a factor, rounded up in floating point as upstream does."""
        return Span(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: Span) -> Span:
        return Span(min(self.least, other.least), max(self.most, other.most))


def _scaled(number: int, factor: float) -> int:
    product = ceil(float(number) * factor)
    return product if product < 2**64 else GREATEST


def fixed(number: int) -> Span:
    return Span(number, number)


ANY = Span(0, GREATEST)
NOTHING = fixed(0)
ONE = fixed(1)
