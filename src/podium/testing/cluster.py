"""A cluster that lives as long as a `with` block."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType

START_TIMEOUT_S = 120.0


class ClusterFailed(Exception):
    """The cluster did not start; the message is what `podium up` said."""


class Cluster:
    """A control plane with simulated nodes, in processes of its own, on a free port of the loopback."""

    def __init__(self, *, simulated_nodes: int = 1, runtime_config: str = "", keep: bool = False) -> None:
        """`runtime_config` is kube-apiserver's flag of that name: `api/legacy=true` serves old APIs too.

        With `keep`, the state directory (logs included) stays when the cluster ends.
        """
        self.runtime_config = runtime_config
        self.simulated_nodes = simulated_nodes
        self.port = 0
        self.state_dir = Path()
        self._keep = keep

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig with an administrator's credentials."""
        return self.state_dir / "kubeconfig"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return once the API answers and the nodes are Ready. Raises ClusterFailed."""
        self.state_dir = Path(tempfile.mkdtemp(prefix="podium-test-"))
        self.port = _free_port()
        done = self._podium(
            "up",
            f"--port={self.port}",
            "--nodes=0",
            f"--simulate={self.simulated_nodes}",
            f"--runtime-config={self.runtime_config}",
            "--name=test",
        )
        if done.returncode != 0:
            self.stop()
            raise ClusterFailed(done.stdout + done.stderr)

    def stop(self) -> None:
        """End the cluster. Nothing of it stays, unless it was made with `keep`."""
        self._podium("down")
        if not self._keep:
            shutil.rmtree(self.state_dir, ignore_errors=True)

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def _podium(self, command: str, *flags: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "podium.cmd.podium", command, f"--state-dir={self.state_dir}", *flags],
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
