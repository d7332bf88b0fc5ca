"""Runs a cluster's components as child processes and starts again, with back-off, what dies.

Components are crash-only: the supervisor never asks how one is, only whether it lives. Its record of them
(`status.json`) is for people and for `podium status`; nothing depends on it.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from podium.base.backoff import Backoff
from podium.base.log import Log

RESTART = Backoff(initial_s=0.1, max_s=10.0)
STEADY_AFTER_S = 30.0
"""A component that has lived this long starts again at once when it dies."""
TERMINATION_GRACE_S = 8.0
LOG_BYTES_MAX = 32 * 1024 * 1024

log = Log("supervisor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One process: what to run, and in which network namespace (None: the machine's own)."""

    name: str
    command: Sequence[str]
    netns: str | None = None


@dataclass(slots=True, kw_only=True)
class _Running:
    component: Component
    process: asyncio.subprocess.Process | None = None
    started_at: float = 0.0
    restarts: int = -1
    stopping: bool = False
    task: asyncio.Task[None] | None = None


class Supervisor:
    """Keeps components alive until told to stop."""

    def __init__(
        self, *, log_dir: Path, status_file: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._environment = dict(os.environ if environment is None else environment)
        self._log_dir = log_dir
        self._status_file = status_file
        self._running: dict[str, _Running] = {}

    async def start(self, component: Component) -> None:
        """Start a component, and keep it running from now on."""
        running = _Running(component=component)
        self._running[component.name] = running
        await self._spawn(running)
        running.task = asyncio.create_task(self._keep_alive(running), name=f"keep {component.name}")

    async def stop(self) -> None:
        """End all components, the last started first. Each gets SIGTERM, and SIGKILL when it lingers."""
        for running in reversed(list(self._running.values())):
            running.stopping = True
            if running.task is not None:
                running.task.cancel()
            if running.process is not None:
                await _terminate(running.process)
            log.info("stopped", component=running.component.name)
        self._running.clear()
        self._status_file.unlink(missing_ok=True)

    def pid(self, name: str) -> int | None:
        """Return the process id of a component's current process."""
        running = self._running.get(name)
        return running.process.pid if running and running.process else None

    def restarts(self, name: str) -> int:
        """Return how often a component has been started again."""
        running = self._running.get(name)
        return max(0, running.restarts) if running else 0

    async def _keep_alive(self, running: _Running) -> None:
        failures = 0
        while not running.stopping:
            assert running.process is not None
            code = await running.process.wait()
            lived_s = time.monotonic() - running.started_at
            failures = 1 if lived_s > STEADY_AFTER_S else failures + 1
            delay_s = RESTART.delay_s(failures)
            log.warning(
                "component ended; starting it again",
                component=running.component.name,
                exit=code,
                lived_s=round(lived_s, 1),
                delay_s=delay_s,
            )
            await asyncio.sleep(delay_s)
            await self._spawn(running)

    async def _spawn(self, running: _Running) -> None:
        component = running.component
        with _open_log(self._log_dir / f"{component.name}.log") as output:
            running.process = await asyncio.create_subprocess_exec(
                *_wrapped(component),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,
            )
        running.started_at = time.monotonic()
        running.restarts += 1
        log.info("started", component=component.name, pid=running.process.pid, restarts=running.restarts)
        self._write_status()

    def _write_status(self) -> None:
        now = time.time()
        lived = time.monotonic()
        components = [
            {
                "name": running.component.name,
                "pid": running.process.pid,
                "restarts": running.restarts,
                "since": now - (lived - running.started_at),
            }
            for running in self._running.values()
            if running.process is not None
        ]
        temporary = self._status_file.with_suffix(".new")
        temporary.write_text(json.dumps({"supervisor": os.getpid(), "components": components}))
        temporary.replace(self._status_file)


def _wrapped(component: Component) -> list[str]:
    """Return the command as it is run: bound to the supervisor's life, in its network namespace."""
    command = list(component.command)
    if component.netns:
        # Only the network differs: with a mount namespace of its own, a node's containerd would not see
        # the volumes its kubelet mounts.
        command = ["nsenter", f"--net=/run/netns/{component.netns}", "--", *command]
    if sys.platform == "linux" and (setpriv := shutil.which("setpriv")):
        # A supervisor that is killed takes its components with it, so that the next one finds the ports free.
        command = [setpriv, "--pdeathsig", "TERM", "--", *command]
    return command


def _open_log(path: Path) -> _LogFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.1"))
    return _LogFile(path)


class _LogFile:
    """A file opened for appending that a child inherits as its output."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __enter__(self) -> int:
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


async def _terminate(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(TERMINATION_GRACE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
