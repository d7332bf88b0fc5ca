"""The families of checks, one file each: pure functions from an object to its problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from podium.audit_report.context import Context
from podium.audit_report.finding import Problem, Rule
from podium.machinery.errors import Object

Check = Callable[[Object, Context], Iterator[Problem]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Rules that are looked at together."""

    name: str
    rules: tuple[Rule, ...]
    check: Check
    """Yields the problems of one object; of an object that is none of its business, none. Must not raise,
    whatever the object holds."""
