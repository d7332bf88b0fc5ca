"""Upstream's recorded answers, replayed against a real server.

The recordings are reference data outside the tree. Without them (PODIUM_WIRE) there is nothing to compare and
the tests are skipped. `known_differences.txt` names the scenarios that differ, with the reason. It only
shrinks: a scenario in it that passes is a failure too.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import time
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.store.etcd import etcd, needs_etcd
from tests.wire.server import Running, running

_HOME = Path(os.environ.get("PODIUM_WIRE", Path(__file__).parents[3] / "shared" / "wire"))
_KNOWN = Path(__file__).parent / "known_differences.txt"
_NEEDS_COMPACTION = "compacted"
COMPACTION_INTERVAL_S = 0.2
COMPACTED_WITHIN_S = 20.0
_AGE = re.compile(r"\(\S+ ago\)")
"""How long ago a recorded restart was: grows by the day; tests/resources/test_columns.py looks at it."""
_AREAS_LATER = ("controllers",)
"""Areas that need a controller manager."""


@cache
def _wire() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wire", _HOME / "wire.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up while it is being executed.
    sys.modules["wire"] = module
    spec.loader.exec_module(module)
    return module


def known_differences() -> dict[str, str]:
    """Return the reason for each scenario that is known to differ."""
    known = {}
    for line in _KNOWN.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition(" ")
            known[name] = reason.strip()
    return known


def _scenarios(areas: tuple[str, ...] = ()) -> list[Any]:
    if not (_HOME / "wire.py").exists():
        return []
    found = []
    for path in sorted((_HOME / "recordings").glob("*.json")):
        if path.stem in _AREAS_LATER or (areas and path.stem not in areas):
            continue
        for scenario in _wire().load(path):
            if scenario.get("controllers") == "on":
                continue
            found.append(pytest.param(scenario, id=f"{path.stem}/{scenario['name']}"))
    return found


# What depends on the store rather than on the kind of object.
_STORE_AREAS = ("deletion", "lists", "updates", "watches")


@pytest.fixture(scope="module")
def on_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("etcd")
    with (
        etcd(folder) as url,
        running(folder, f"--etcd-servers={url}") as started,
        _connected(started) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("apiserver")) as started:
        yield started


@pytest.fixture(scope="module")
def compacted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A connection to a server that keeps no history to speak of, nor remembers how its store began."""
    directory = tmp_path_factory.mktemp("compacted")
    with running(directory):
        pass
    interval = f"--etcd-compaction-interval={COMPACTION_INTERVAL_S}s"
    with running(directory, interval) as started, _connected(started) as made:
        deadline = time.monotonic() + COMPACTED_WITHIN_S
        old = "/api/v1/namespaces?resourceVersion=1&resourceVersionMatch=Exact"
        while made.request("GET", old).status != HTTPStatus.GONE:
            assert time.monotonic() < deadline, "the server does not compact"
            time.sleep(COMPACTION_INTERVAL_S)
        yield made


@pytest.fixture(scope="module")
def connection(server: Running) -> Iterator[Any]:
    with _connected(server) as made:
        yield made


@contextlib.contextmanager
def _connected(server: Running) -> Iterator[Any]:
    made = _wire().Connection(server.url, ca=str(server.ca_file), token=server.token)
    made.controllers = False
    yield made
    if made._kept is not None:
        made._kept.close()


@pytest.mark.skipif(not _scenarios(), reason="no recordings here (PODIUM_WIRE)")
@pytest.mark.parametrize("scenario", _scenarios())
def test_recording(scenario: Any, request: pytest.FixtureRequest) -> None:
    server = "compacted" if scenario.get(_NEEDS_COMPACTION) else "connection"
    _replay(scenario, request.getfixturevalue(server))


@needs_etcd
@pytest.mark.skipif(not _scenarios(), reason="no recordings here (PODIUM_WIRE)")
@pytest.mark.parametrize("scenario", _scenarios(_STORE_AREAS))
def test_recording_with_etcd_behind(scenario: Any, on_etcd: Any) -> None:
    _replay(scenario, on_etcd)


def _replay(scenario: Any, connection: Any) -> None:
    differences = [
        str(difference)
        for difference in _wire().run(scenario, connection)
        if _AGE.sub("", difference.expected) != _AGE.sub("", difference.got)
    ]
    name = f"{scenario['area']}/{scenario['name']}"
    reason = known_differences().get(name)
    if reason is None:
        assert differences == []
    else:
        assert differences, f"{name} passes now: take it out of {_KNOWN.name}"
