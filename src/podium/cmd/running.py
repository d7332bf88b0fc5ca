"""Is a cluster running, and what of it? Its supervisor holds its lock while it lives."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from podium.cmd.layout import Cluster


@contextmanager
def held(cluster: Cluster) -> Iterator[IO[str] | None]:
    """Hold the cluster's lock; yields None when another process (its supervisor) has it."""
    with cluster.lock_file.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file


def supervisor_pid(cluster: Cluster) -> int | None:
    """Return the process id of the running cluster's supervisor, or None when it is not running."""
    if not cluster.lock_file.exists():
        return None
    with held(cluster) as lock:
        if lock is not None:
            return None
    text = cluster.lock_file.read_text().strip()
    return int(text) if text else None


def status(cluster: Cluster) -> dict[str, Any] | None:
    """Return the supervisor's record of its components, or None when the cluster is not running."""
    if supervisor_pid(cluster) is None:
        return None
    try:
        record: dict[str, Any] = json.loads(cluster.status_file.read_bytes())
    except FileNotFoundError:
        return {"components": []}
    return record


def table(record: dict[str, Any]) -> list[str]:
    """Return the record as lines for a person."""
    lines = [f"  {'COMPONENT':<28} {'PID':>8} {'RESTARTS':>8} {'RUNNING':>10}"]
    now = time.time()
    for component in record["components"]:
        lines.append(
            f"  {component['name']:<28} {component['pid']:>8} {component['restarts']:>8}"
            f" {now - component['since']:>8.0f} s"
        )
    return lines
