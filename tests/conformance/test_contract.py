"""Every conformance test of upstream is either here or named in `elsewhere.py`."""

from __future__ import annotations

import importlib
import os
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from tests.conformance.contract import COVERED, short
from tests.conformance.elsewhere import ELSEWHERE

_HERE = Path(__file__).parent
_LIST = Path(
    os.environ.get("PODIUM_CONFORMANCE", _HERE.parents[2] / "shared" / "upstream" / "conformance.yaml")
)


@pytest.fixture(scope="module")
def names() -> set[str]:
    """Upstream's names; all tests here have said theirs."""
    if not _LIST.exists():
        pytest.skip("no list of upstream's conformance tests here (PODIUM_CONFORMANCE)")
    for path in _HERE.glob("test_*.py"):
        importlib.import_module(f"tests.conformance.{path.stem}")
    return {short(entry["codename"]) for entry in yaml.safe_load(_LIST.read_text())}


def _escaped(pattern: str) -> str:
    """Only the star is special: names are full of brackets."""
    return "".join(f"[{c}]" if c in "[?" else c for c in pattern)


def _elsewhere(name: str) -> list[str]:
    return [
        pattern
        for patterns in ELSEWHERE.values()
        for pattern in patterns
        if fnmatchcase(name, _escaped(pattern))
    ]


def test_each_name_here_is_upstreams(names: set[str]) -> None:
    assert set(COVERED) - names == set()


def test_each_name_of_upstream_is_here_or_elsewhere(names: set[str]) -> None:
    assert {name for name in names - set(COVERED) if not _elsewhere(name)} == set()


def test_what_is_elsewhere_is_not_here_too(names: set[str]) -> None:
    assert {name: COVERED[name] for name in COVERED if _elsewhere(name)} == {}
    used = {pattern for name in names for pattern in _elsewhere(name)}
    assert {pattern for patterns in ELSEWHERE.values() for pattern in patterns} - used == set()
