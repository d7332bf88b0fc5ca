"""The supervisor keeps processes alive, and ends them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from podium.cmd import supervisor as module
from podium.cmd.supervisor import Component, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('ready', flush=True); time.sleep(600)",
]


def run(tmp_path: Path, test: Callable[[Supervisor], Awaitable[None]]) -> None:
    async def body() -> None:
        supervisor = Supervisor(log_dir=tmp_path / "logs", status_file=tmp_path / "status.json")
        try:
            async with asyncio.timeout(30):
                await test(supervisor)
        finally:
            await supervisor.stop()

    asyncio.run(body())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_dies_is_started_again(tmp_path: Path) -> None:
    async def test(supervisor: Supervisor) -> None:
        await supervisor.start(Component(name="one", command=SLEEP))
        first = supervisor.pid("one")
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.restarts("one") == 1)
        second = supervisor.pid("one")
        assert second not in {None, first}
        record = json.loads((tmp_path / "status.json").read_text())
        assert [(c["name"], c["pid"], c["restarts"]) for c in record["components"]] == [("one", second, 1)]

    run(tmp_path, test)


def test_output_is_kept_over_restarts(tmp_path: Path) -> None:
    async def test(supervisor: Supervisor) -> None:
        log = tmp_path / "logs" / "one.log"
        await supervisor.start(Component(name="one", command=[sys.executable, "-c", "print('here')"]))
        await until(lambda: log.read_text().count("here") == 2)

    run(tmp_path, test)


def test_stop_ends_everything_even_what_will_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids: list[int] = []

    async def test(supervisor: Supervisor) -> None:
        await supervisor.start(Component(name="one", command=SLEEP))
        await supervisor.start(Component(name="two", command=STUBBORN))
        await until(lambda: "ready" in (tmp_path / "logs" / "two.log").read_text())
        pids.extend(pid for name in ("one", "two") if (pid := supervisor.pid(name)))
        await supervisor.stop()
        assert not (tmp_path / "status.json").exists()

    monkeypatch.setattr(module, "TERMINATION_GRACE_S", 0.2)
    run(tmp_path, test)
    assert len(pids) == 2
    assert not any(is_running(pid) for pid in pids)
