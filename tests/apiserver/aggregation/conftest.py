"""The API server in front of an extension server, shared by the tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apiserver.aggregation.front import Front, Make, makers


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Start an extension server and an API server in front of it."""
    with makers(tmp_path) as start:
        yield start


@pytest.fixture(scope="package")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """One that works, which the tests leave as they found it."""
    with makers(tmp_path_factory.mktemp("front")) as start:
        made = start()
        made.offer()
        made.register()
        made.wait()
        yield made
