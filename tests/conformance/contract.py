"""Which of upstream's conformance tests are done here, and where the others are.

Upstream names each of its conformance tests; a test here says with `covers`, or a row of a table with `case`,
whose description it fulfils. `elsewhere.py` says of all others where they are. `test_contract.py` holds both
against upstream's list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

T = TypeVar("T", bound=Callable[..., Any])

COVERED: dict[str, str] = {}
"""The test that fulfils each name."""

SUFFIX = "[Conformance]"


def covers(*names: str) -> Callable[[T], T]:
    """Say which conformance tests the decorated function is."""

    def mark(test: T) -> T:
        for name in names:
            note(name, f"{test.__module__}.{test.__name__}")
        return test

    return mark


def case(name: str, *values: Any) -> Any:
    """Return one case of a table, which is the conformance test of that name."""
    note(name, "a table")
    return pytest.param(*values, id=name)


def note(name: str, where: str) -> None:
    assert name not in COVERED, f"{name} is covered twice"
    COVERED[name] = where


def short(codename: str) -> str:
    """Return upstream's name in one line, without what all have."""
    return " ".join(codename.replace(SUFFIX, "").split())
