"""The pytest plugin: the fixture `cluster`, started when the first test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from podium.testing.cluster import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with one simulated node, for the whole test session."""
    with Cluster() as running:
        yield running
