"""NodeUnschedulable: cordoned nodes take no pods but those that tolerate it."""

from __future__ import annotations

from podium.scheduler.framework import ClusterEvent, Reason, Rejection
from podium.scheduler.plugins.tolerations import tolerated, tolerations
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Snapshot, Taint

_TAINT = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


class NodeUnschedulable:
    name = "NodeUnschedulable"
    events = frozenset((ClusterEvent.NODE_ADDED, ClusterEvent.NODE_CHANGED, ClusterEvent.POD_CHANGED))

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        cordoned = nodes.unschedulable
        if not cordoned.any() or tolerated(tolerations(pod), _TAINT):
            return None
        return ~cordoned

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        return Rejection(reasons=(Reason(text="node(s) were unschedulable", rows=rejected),))
