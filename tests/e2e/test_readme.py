"""The README's own commands, as they stand there."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, WAIT_S, RunningCluster, build_and_load, kubectl_program, running_cluster

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    work = tmp_path_factory.mktemp("readme")
    with running_cluster(work) as running:
        build_and_load(running, work, "1", "2")
        yield running


def commands(section: str) -> list[str]:
    """Return the commands of the first shell block of a section of the README, without their comments."""
    text = (ROOT / "README.md").read_text().split(f"{section}\n", 1)[1]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    lines = (re.sub(r"\s+#.*", "", line).strip() for line in block[1].splitlines())
    return [line for line in lines if line]


def environment(cluster: RunningCluster) -> dict[str, str]:
    programs = [str(Path(sys.executable).parent), str(Path(kubectl_program()).parent), os.environ["PATH"]]
    return {
        **os.environ,
        "PATH": os.pathsep.join(programs),
        "KUBECONFIG": str(cluster.state_dir / "kubeconfig"),
    }


def until_it_works(command: str, cluster: RunningCluster) -> None:
    """Give a command, and give it again while it fails: the cluster may be a moment behind a fast typist."""
    deadline = time.monotonic() + WAIT_S
    while True:
        done = subprocess.run(
            ["bash", "-c", command],
            env=environment(cluster),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * WAIT_S,
            check=False,
        )
        if done.returncode == 0:
            return
        assert time.monotonic() < deadline, f"{command}: {done.stdout}{done.stderr}"


def follow(command: str, cluster: RunningCluster) -> None:
    """Give a command that never ends, and end it when it has shown something."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        env=environment(cluster),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as follower:
        assert follower.stdout is not None
        try:
            assert select.select([follower.stdout], [], [], WAIT_S)[0], f"{command}: nothing to follow"
            assert follower.stdout.readline(), f"{command}: it ended"
        finally:
            follower.terminate()


def test_the_transcript(empty: RunningCluster) -> None:
    for command in commands("## Try it"):
        if command.startswith("export KUBECONFIG="):
            continue
        # A shell in a container waits for a person: this one gets its commands from nowhere.
        as_run = command.replace("exec -it", "exec -i")
        if "logs -f" in command:
            follow(as_run, empty)
        else:
            until_it_works(as_run, empty)


def test_the_commands_for_images(empty: RunningCluster, tmp_path: Path) -> None:
    for command in commands("### Images without Docker"):
        as_run = command.replace("-o hello.tar", f"-o {tmp_path / 'hello.tar'}")
        as_run = as_run.replace(
            "load hello.tar", f"load --state-dir {empty.state_dir} {tmp_path / 'hello.tar'}"
        )
        done = subprocess.run(
            ["bash", "-c", as_run],
            env=environment(empty),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
