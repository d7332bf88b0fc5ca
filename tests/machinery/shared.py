"""Where the tests find the recordings of upstream and its test data, which lie beside the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).parents[2].parent / "shared"
RECORDINGS = SHARED / "wire" / "recordings"
TESTDATA = SHARED / "upstream" / "api-testdata"

needs_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside the repository")
needs_testdata = pytest.mark.skipif(not TESTDATA.is_dir(), reason="no test data beside the repository")


def scenarios(area: str) -> list[dict[str, Any]]:
    """Return the scenarios of one area of recordings, none when there are no recordings."""
    path = RECORDINGS / f"{area}.json"
    if not path.exists():
        return []
    loaded = json.loads(path.read_text())
    return list(loaded if isinstance(loaded, list) else loaded["scenarios"])


def areas() -> list[str]:
    return sorted(path.stem for path in RECORDINGS.glob("*.json"))


def steps(area: str, scenario: str) -> list[dict[str, Any]]:
    for each in scenarios(area):
        if each["name"] == scenario:
            return list(each["steps"])
    raise LookupError(f"{area}/{scenario}")


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every whole object that upstream answered with, and where."""
    for area in areas():
        for scenario in scenarios(area):
            for index, step in enumerate(scenario["steps"]):
                expect = step.get("expect")
                whole = not (step.get("pick") or step.get("ignore"))
                if isinstance(expect, dict) and isinstance(expect.get("body"), dict) and whole:
                    yield f"{area}/{scenario['name']}/{index + 1}", expect["body"]
