"""Removes what a cluster's nodes leave on a machine: containers, mounts, namespaces, links, rules.

It asks no component, since after a crash none may be there to answer: it finds things by the names and
directories that belong to the cluster. What is on disk below the state directory stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from podium.base.log import Log
from podium.cmd import node_network
from podium.cmd.layout import Cluster, is_root

CONTAINER_GRACE_S = 3.0
_WAIT_STEP_S = 0.05
_CGROUP_ROOT = Path("/sys/fs/cgroup")
_MNT_DETACH = 2

log = Log("teardown")


async def clean(cluster: Cluster) -> None:
    """Remove everything that is the cluster's and lives outside its state directory."""
    if not is_root():
        shutil.rmtree(cluster.run_dir, ignore_errors=True)
        return
    containers = set(_cgroup_processes(cluster))
    await _end(containers, signal.SIGTERM, CONTAINER_GRACE_S)
    # What is left by now, and what was started meanwhile.
    shims = set(_shims(cluster))
    await _end(shims | set(_cgroup_processes(cluster)), signal.SIGKILL, CONTAINER_GRACE_S)
    # Sandboxes' network namespaces are mounts below the run directory, too.
    _unmount_below(cluster.run_dir)
    _unmount_below(cluster.state_dir)
    _remove_cgroups(cluster)
    await node_network.perform(node_network.plan_down(cluster), tolerate=("Cannot find device",))
    _remove_tables(cluster)
    shutil.rmtree(cluster.run_dir, ignore_errors=True)


def _cgroup_directories(cluster: Cluster) -> Iterator[Path]:
    """Yield the cluster's top cgroup in each hierarchy: one with cgroups v2, one a controller with v1."""
    name = f"podium-{cluster.slot}"
    for root in (_CGROUP_ROOT, *(p for p in _CGROUP_ROOT.glob("*") if p.is_dir())):
        if (root / name).is_dir():
            yield root / name


def _cgroup_processes(cluster: Cluster) -> Iterator[int]:
    for top in _cgroup_directories(cluster):
        for file in top.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                yield from (int(pid) for pid in file.read_text().split() if pid != "0")


def _shims(cluster: Cluster) -> Iterator[int]:
    """Yield containerd's shims of this cluster: their command line names its socket."""
    mark = os.fsencode(cluster.run_dir) + b"/"
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (process / "cmdline").read_bytes().split(b"\0")
            if b"containerd-shim" in arguments[0] and any(mark in argument for argument in arguments):
                yield int(process.name)


async def _end(pids: set[int], how: signal.Signals, grace_s: float) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
    remaining_s = grace_s
    while remaining_s > 0 and any(_lives(pid) for pid in pids):
        await asyncio.sleep(_WAIT_STEP_S)
        remaining_s -= _WAIT_STEP_S


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _unmount_below(directory: Path) -> None:
    mounts = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # Spaces and the like are written as octal escapes.
        target = line.split()[4].encode().decode("unicode_escape")
        if Path(target).is_relative_to(directory):
            mounts.append(target)
    for target in reversed(mounts):
        _unmount(Path(target))


def _unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], check=False, capture_output=True)


def _remove_cgroups(cluster: Cluster) -> None:
    for top in _cgroup_directories(cluster):
        for directory in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                directory.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()


def _remove_tables(cluster: Cluster) -> None:
    listing = subprocess.run(["nft", "list", "tables"], check=False, capture_output=True, text=True)
    for line in listing.stdout.splitlines():
        _, family, name = line.split()[:3]
        if name.startswith(f"podium-{cluster.slot}-"):
            subprocess.run(["nft", "delete", "table", family, name], check=False, capture_output=True)
            log.info("removed nftables table", family=family, table=name)
