"""`podium down`: end a cluster's processes and remove what it left on the machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time

from podium.cmd import running, teardown
from podium.cmd.layout import Cluster

DOWN_TIMEOUT_S = 60.0


def down(cluster: Cluster) -> bool:
    """Stop the cluster and remove what it left on the machine; return whether it was running."""
    pid = running.supervisor_pid(cluster)
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _wait_until_free(cluster, pid)
    # The supervisor cleans up itself; this is for one that was killed.
    asyncio.run(teardown.clean(cluster))
    cluster.status_file.unlink(missing_ok=True)
    return pid is not None


def _wait_until_free(cluster: Cluster, pid: int) -> None:
    deadline = time.monotonic() + DOWN_TIMEOUT_S
    while running.supervisor_pid(cluster) is not None:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + DOWN_TIMEOUT_S
        time.sleep(0.05)


async def erase(cluster: Cluster) -> None:
    """Delete everything the cluster has on disk but its directory and its slot."""
    await teardown.clean(cluster)
    for path in cluster.state_dir.iterdir():
        if path.name in {"cluster.json", "lock"}:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
