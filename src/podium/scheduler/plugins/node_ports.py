"""NodePorts: a host port is for one pod of a node (and for each address of it, where pods say one)."""

from __future__ import annotations

import numpy as np

from podium.scheduler.framework import ClusterEvent, Reason, Rejection
from podium.scheduler.pod_info import ANY_ADDRESS, PodInfo
from podium.scheduler.snapshot import Mask, Snapshot


class NodePorts:
    name = "NodePorts"
    events = frozenset((ClusterEvent.NODE_ADDED, ClusterEvent.POD_REMOVED))

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        if not pod.host_ports:
            return None
        passed = np.ones_like(nodes.valid)
        for wanted in pod.host_ports:
            for row, address in nodes.port_users(wanted.protocol, wanted.port):
                if ANY_ADDRESS in (address, wanted.address) or address == wanted.address:
                    passed[row] = False
        return passed

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        text = "node(s) didn't have free ports for the requested pod ports"
        return Rejection(reasons=(Reason(text=text, rows=rejected),), resolvable=rejected)
