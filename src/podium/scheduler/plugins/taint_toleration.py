"""TaintToleration: nodes with a taint that the pod does not tolerate are out, or come last.

Nodes with the same taints share one number, so tolerations are compared once for each distinct set of
taints; what is left for the nodes is one look-up in a table.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from podium.scheduler.framework import ClusterEvent, Reason, Rejection, normalized
from podium.scheduler.plugins.tolerations import tolerated, tolerations
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Snapshot, Taint, Vector

_REPELLING = frozenset(("NoSchedule", "NoExecute"))


class TaintToleration:
    name = "TaintToleration"
    weight = 3
    events = frozenset((ClusterEvent.NODE_ADDED, ClusterEvent.NODE_CHANGED, ClusterEvent.POD_CHANGED))

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        if not len(nodes.taint_sets):
            return None
        own = tolerations(pod)
        untolerated = _by_taint_set(
            nodes, lambda taint: taint.effect in _REPELLING and not tolerated(own, taint)
        )
        passed: Mask = untolerated[nodes.taints] == 0
        return passed

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        return Rejection(reasons=(Reason(text="node(s) had untolerated taint(s)", rows=rejected),))

    def score(self, pod: PodInfo, nodes: Snapshot, feasible: Mask) -> Vector | None:
        if not len(nodes.taint_sets):
            return None
        own = [t for t in tolerations(pod) if t.get("effect") in (None, "", "PreferNoSchedule")]
        untolerated = _by_taint_set(
            nodes, lambda taint: taint.effect == "PreferNoSchedule" and not tolerated(own, taint)
        )
        if not untolerated.any():
            return None
        return normalized(untolerated[nodes.taints], feasible, reverse=True)


def _by_taint_set(nodes: Snapshot, matches: Callable[[Taint], bool]) -> Vector:
    """Return how many taints match in each set of taints, indexed by the set's number."""
    table: Vector = np.zeros(nodes.taint_sets.size, np.int64)
    for number, taints in nodes.taint_sets.items():
        table[number] = sum(map(matches, taints))
    return table
