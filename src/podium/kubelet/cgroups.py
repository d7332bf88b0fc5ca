"""Where a pod's cgroup is and what a container may use: upstream's arithmetic, and the pod cgroups' removal.

The pod's cgroup is the parent that runc creates containers in (driver cgroupfs, v1 or v2); the runtime makes
it, the kubelet removes it, because nobody else knows when a pod is over.
"""

from __future__ import annotations

import os
from pathlib import Path

from podium.kubelet.cri.runtime import Resources
from podium.kubelet.pods import limit, milli, pod_uid, qos_class, request, value
from podium.machinery.errors import Object

CGROUP_MOUNT = Path("/sys/fs/cgroup")
SHARES_PER_CPU = 1024
SHARES_MIN = 2
SHARES_MAX = 262144
QUOTA_PERIOD_US = 100_000
QUOTA_MIN_US = 1000

# Upstream pkg/kubelet/qos: who is killed first when the machine runs out of memory.
OOM_GUARANTEED = -997
OOM_BEST_EFFORT = 1000
CRITICAL_PRIORITY = 2_000_000_000


def pod_cgroup(pod: Object, root: str) -> str:
    """Return the pod's cgroup below `root`: `/<root>/kubepods/burstable/pod<uid>`."""
    tier = {"Burstable": "/burstable", "BestEffort": "/besteffort"}.get(qos_class(pod), "")
    return f"/{root.strip('/')}/kubepods{tier}/pod{pod_uid(pod)}"


def oom_score_adj(pod: Object, container: Object, memory_bytes: int) -> int:
    """Return the container's oom_score_adj: the more memory it asked for, the later it is killed."""
    if int(pod["spec"].get("priority") or 0) >= CRITICAL_PRIORITY:
        return OOM_GUARANTEED
    match qos_class(pod):
        case "Guaranteed":
            return OOM_GUARANTEED
        case "BestEffort":
            return OOM_BEST_EFFORT
    requested = value(request(container, "memory"))
    score = 1000 - (1000 * requested) // max(1, memory_bytes)
    # Never as safe as a guaranteed pod, never the same as best effort.
    return max(1000 + OOM_GUARANTEED, min(score, OOM_BEST_EFFORT - 1))


def container_resources(pod: Object, container: Object, memory_bytes: int) -> Resources:
    """Return the cgroup settings of one container; `memory_bytes` is the machine's memory."""
    cpu_request = request(container, "cpu")
    cpu_limit_m = milli(limit(container, "cpu"))
    quota = max(QUOTA_MIN_US, cpu_limit_m * QUOTA_PERIOD_US // 1000) if cpu_limit_m else 0
    return Resources(
        cpu_shares=cpu_shares(milli(cpu_request)),
        cpu_quota=quota,
        cpu_period=QUOTA_PERIOD_US if quota else 0,
        memory_limit_bytes=value(limit(container, "memory")),
        oom_score_adj=oom_score_adj(pod, container, memory_bytes),
    )


def cpu_shares(cpu_m: int) -> int:
    if cpu_m == 0:
        return SHARES_MIN
    return max(SHARES_MIN, min(SHARES_MAX, cpu_m * SHARES_PER_CPU // 1000))


def hierarchies() -> list[Path]:
    """Return the mount points below which a cgroup of one name may exist: one for v2, many for v1."""
    if (CGROUP_MOUNT / "cgroup.controllers").exists():
        return [CGROUP_MOUNT]
    try:
        return [path for path in CGROUP_MOUNT.iterdir() if path.is_dir() and not path.is_symlink()]
    except OSError:
        return []


def remove_cgroup(path: str) -> None:
    """Remove the cgroup and those below it, in every hierarchy, as far as they are empty."""
    for hierarchy in hierarchies():
        top = hierarchy / path.strip("/")
        if not top.is_dir():
            continue
        for folder, _, _ in os.walk(top, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                continue


def make_room(mount: Path = CGROUP_MOUNT) -> int:
    """Let pods have cgroups below a v2 root that is not the machine's; return how many processes moved.

    Inside a container the visible root is an inner cgroup with processes in it, and such a one may not hand
    controllers down. Its processes move to a child, as other Kubernetes-in-a-container tools do. On the
    machine itself (and with v1) there is nothing to do: the true root has no `cgroup.type`.
    """
    if not (mount / "cgroup.controllers").exists() or not (mount / "cgroup.type").exists():
        return 0
    pids = (mount / "cgroup.procs").read_text().split()
    if not pids:
        return 0
    child = mount / "init"
    child.mkdir(exist_ok=True)
    moved = 0
    for pid in pids:
        try:
            (child / "cgroup.procs").write_text(pid)
            moved += 1
        except OSError:
            # It ended meanwhile, or is a kernel thread.
            continue
    return moved
