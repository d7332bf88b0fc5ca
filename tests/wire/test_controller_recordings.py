"""The recordings of what controllers make, replayed against a server with a controller manager beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.wire.server import controllers, running
from tests.wire.test_recordings import _HOME, _connected, _replay, _wire


def _scenarios() -> list[Any]:
    if not (_HOME / "wire.py").exists():
        return []
    return [
        pytest.param(scenario, id=f"{path.stem}/{scenario['name']}")
        for path in sorted((_HOME / "recordings").glob("*.json"))
        for scenario in _wire().load(path)
        if scenario.get("controllers") == "on"
    ]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    directory = tmp_path_factory.mktemp("controllers")
    with running(directory) as server, controllers(server, directory), _connected(server) as made:
        made.controllers = True
        yield made


@pytest.mark.skipif(not _scenarios(), reason="no recordings here (PODIUM_WIRE)")
@pytest.mark.parametrize("scenario", _scenarios())
def test_recording(scenario: Any, connection: Any) -> None:
    _replay(scenario, connection)
