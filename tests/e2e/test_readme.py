"""The README's own commands, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, RunningCluster, build_and_load, kubectl_program, running_cluster

pytestmark = pytest.mark.e2e

FOLLOWS_S = 5.0
"""How long a command that follows is let run."""


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


def test_the_transcript(empty: RunningCluster) -> None:
    for command in commands("## Try it"):
        if command.startswith("export KUBECONFIG="):
            continue
        # A shell in a container waits for a person: this one gets its commands from nowhere.
        as_run = command.replace("exec -it", "exec -i")
        try:
            done = subprocess.run(
                ["bash", "-c", as_run],
                env=environment(empty),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=FOLLOWS_S if " -f " in command and "logs" in command else 120,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            assert " -f " in command, command
            assert expired.stdout, f"{command}: nothing to follow"
            continue
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


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
