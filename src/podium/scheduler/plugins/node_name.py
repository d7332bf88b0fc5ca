"""NodeName: a pod that names its node goes nowhere else."""

from __future__ import annotations

import numpy as np

from podium.scheduler.framework import ClusterEvent, Reason, Rejection
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Snapshot


class NodeName:
    name = "NodeName"
    events = frozenset((ClusterEvent.NODE_ADDED,))

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        if not pod.node_name:
            return None
        passed = np.zeros_like(nodes.valid)
        row = nodes.row(pod.node_name)
        if row is not None:
            passed[row] = True
        return passed

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        return Rejection(
            reasons=(Reason(text="node(s) didn't match the requested node name", rows=rejected),)
        )
