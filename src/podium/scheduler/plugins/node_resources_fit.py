"""NodeResourcesFit: what is free on the node must be enough, and the emptiest node is the best.

The score is upstream's LeastAllocated over CPU and memory with equal weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from podium.scheduler.framework import SCORE_MAX, ClusterEvent, Reason, Rejection
from podium.scheduler.pod_info import CPU, MEMORY, PodInfo
from podium.scheduler.snapshot import Mask, Snapshot, Vector


class NodeResourcesFit:
    name = "NodeResourcesFit"
    weight = 1
    events = frozenset(
        (
            ClusterEvent.NODE_ADDED,
            ClusterEvent.NODE_CHANGED,
            ClusterEvent.POD_REMOVED,
            ClusterEvent.POD_CHANGED,
        )
    )

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        passed: Mask = nodes.pod_count < nodes.pods_max
        for _, wanted, allocatable, requested in _demands(pod, nodes):
            passed &= allocatable - requested >= wanted
        return passed

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        reasons = [Reason(text="Too many pods", rows=rejected & (nodes.pod_count >= nodes.pods_max))]
        resolvable = rejected.copy()
        for name, wanted, allocatable, requested in _demands(pod, nodes):
            short = rejected & (allocatable - requested < wanted)
            reasons.append(Reason(text=f"Insufficient {name}", rows=short))
            # Where even the empty node is too small, no other pod is in the way.
            resolvable &= allocatable >= wanted
        return Rejection(reasons=reasons, resolvable=resolvable)

    def score(self, pod: PodInfo, nodes: Snapshot, feasible: Mask) -> Vector | None:
        total: Vector = np.zeros(len(feasible), np.int64)
        silent = np.zeros(len(feasible), np.bool_)
        wanted = (pod.scoring_cpu_milli, pod.scoring_memory_bytes)
        for index, resource in enumerate((CPU, MEMORY)):
            capacity = nodes.allocatable(resource)
            assert capacity is not None, "CPU and memory always have a column"
            free = capacity - nodes.scoring_requested[index]
            free -= wanted[index]
            # In floats, much faster than in whole numbers; below 64 TiB the quotients still cut off alike.
            share = np.maximum(free, 0) * float(SCORE_MAX)
            share /= np.maximum(capacity, 1)
            total += share.astype(np.int64)
            silent |= capacity == 0
        # A node that does not say what it has of a resource is judged by the other alone.
        return np.where(silent, total, total >> 1)


def _demands(pod: PodInfo, nodes: Snapshot) -> Iterator[tuple[str, int, Vector, Vector]]:
    """Yield each requested resource with the amount and the nodes' columns of it."""
    for name, wanted in pod.requests.items():
        allocatable, requested = nodes.allocatable(name), nodes.requested(name)
        if allocatable is None or requested is None:  # no node has ever offered it
            nothing: Vector = np.zeros(len(nodes.names), np.int64)
            yield name, wanted, nothing, nothing
        else:
            yield name, wanted, allocatable, requested
