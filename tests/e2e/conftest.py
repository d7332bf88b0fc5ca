"""One cluster for all end-to-end tests: real containers, driven with the real kubectl."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from podium.cmd import kubeconfig, preflight

ROOT = Path(__file__).parents[2]
T = TypeVar("T")

WAIT_S = 90.0
_STEP_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCluster:
    """A cluster of the tests' own, and the tools that a user has."""

    state_dir: Path
    port: int

    def podium(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `podium COMMAND --state-dir ... WORDS`."""
        return podium(words[0], f"--state-dir={self.state_dir}", *words[1:], check=check)

    def kubectl(self, *words: str, check: bool = True, stdin: str | None = None) -> str:
        """Run kubectl and return what it printed."""
        done = subprocess.run(
            [kubectl_program(), *words],
            env={**os.environ, "KUBECONFIG": str(self.state_dir / "kubeconfig")},
            capture_output=True,
            text=True,
            input=stdin,
            timeout=WAIT_S * 2,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout + ("" if check else done.stderr)

    def get(self, *words: str) -> Any:
        """Run `kubectl get WORDS -o json` and return the object."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def component_pid(self, name: str) -> int:
        record = json.loads((self.state_dir / "status.json").read_text())
        return int(next(c["pid"] for c in record["components"] if c["name"] == name))


def podium(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the installed console script."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "podium"), *words],
        capture_output=True,
        text=True,
        timeout=WAIT_S * 2,
        check=False,
        cwd=ROOT,
    )
    if check and done.returncode != 0:
        pytest.fail(f"podium {' '.join(words)}: {done.stdout}{done.stderr}")
    return done


def kubectl_program() -> str:
    found = kubeconfig.find_kubectl()
    assert found is not None
    return found


def until(check: Callable[[], T], what: str, *, within_s: float = WAIT_S) -> T:
    """Return the first true value of `check`; fails the test when none comes in time."""
    deadline = time.monotonic() + within_s
    while not (value := check()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s:.0f} s: {what}")
        time.sleep(_STEP_S)
    return value


def free_port() -> int:
    with socket.socket() as probe:
        # As the server binds it: a connection that lingers on another address is in its way too.
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def build_and_load(running: RunningCluster, work: Path, *tags: str) -> None:
    """Make the example's image on this machine and put it on every node, under each tag."""
    for tag in tags:
        archive = work / f"hello-{tag}.tar"
        image = f"podium.local/hello:{tag}"
        podium("image", "build", "examples/hello/image.toml", "-t", image, "-o", str(archive))
        podium("image", "load", f"--state-dir={running.state_dir}", str(archive))


@contextmanager
def running_cluster(work: Path, *flags: str) -> Iterator[RunningCluster]:
    """A cluster of its own below `work`; its logs are kept below build/ when it has ended."""
    if reason := preflight.why_no_real_nodes():
        pytest.skip(reason)
    running = RunningCluster(state_dir=work / "cluster", port=free_port())
    try:
        running.podium("up", f"--port={running.port}", *flags)
        yield running
    finally:
        running.podium("down", check=False)
        logs = ROOT / "build" / "e2e-logs" / work.name
        shutil.rmtree(logs, ignore_errors=True)
        if (running.state_dir / "logs").exists():
            shutil.copytree(running.state_dir / "logs", logs)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    work = tmp_path_factory.mktemp("e2e")
    with running_cluster(work) as running:
        build_and_load(running, work, "1", "2")
        yield running
