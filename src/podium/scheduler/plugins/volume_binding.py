"""VolumeBinding: a pod goes where its volumes are, or where they can be had."""

from __future__ import annotations

import numpy as np

from podium.scheduler.framework import ClusterEvent, Reason, Rejection
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Snapshot
from podium.scheduler.volume_choice import claims_of, judge
from podium.scheduler.volumes import Volumes

NAME = "VolumeBinding"
_EVENTS = frozenset((ClusterEvent.NODE_ADDED, ClusterEvent.NODE_CHANGED, ClusterEvent.VOLUME_CHANGED))


class VolumeBinding:
    name = NAME
    events = _EVENTS

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        if not pod.claims:
            return None
        return judge(claims_of(pod, self._volumes), self._volumes, nodes).passed

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        found = judge(claims_of(pod, self._volumes), self._volumes, nodes)
        missing = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
        reasons = (
            Reason(
                text="node(s) didn't match PersistentVolume's node affinity", rows=rejected & ~found.reached
            ),
            Reason(
                text="node(s) didn't find available persistent volumes to bind", rows=rejected & ~found.served
            ),
            Reason(text="node(s) did not have enough free storage", rows=rejected & ~found.roomy),
            Reason(text=missing, rows=rejected & (not found.complete)),
        )
        return Rejection(reasons=reasons)


class VolumeClaims:
    """The part of VolumeBinding that upstream decides before all filters: whether the claims are ready."""

    name = NAME
    events = _EVENTS

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        if not pod.claims or not claims_of(pod, self._volumes).problem:
            return None
        return np.zeros_like(nodes.valid)

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        return Rejection(whole_pod=claims_of(pod, self._volumes).problem)
