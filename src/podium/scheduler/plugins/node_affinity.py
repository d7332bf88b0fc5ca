"""NodeAffinity: spec.nodeSelector and spec.affinity.nodeAffinity, required and preferred.

Terms are alternatives; the requirements of one term must all hold. A term that is empty, or that upstream
could not parse, matches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from podium.machinery.errors import Object
from podium.scheduler.framework import ClusterEvent, Reason, Rejection, normalized
from podium.scheduler.node_selector import NAME_FIELD, any_term, label_in, term
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Snapshot, Vector

_EVENTS = frozenset((ClusterEvent.NODE_ADDED, ClusterEvent.NODE_CHANGED, ClusterEvent.POD_CHANGED))


class NodeAffinity:
    name = "NodeAffinity"
    weight = 2
    events = _EVENTS

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        return required(pod, nodes)

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        text = "node(s) didn't match Pod's node affinity/selector"
        return Rejection(reasons=(Reason(text=text, rows=rejected),))

    def score(self, pod: PodInfo, nodes: Snapshot, feasible: Mask) -> Vector | None:
        terms = _node_affinity(pod).get("preferredDuringSchedulingIgnoredDuringExecution")
        if not terms:
            return None
        total: Vector = np.zeros(len(nodes.names), np.int64)
        for preferred in terms:
            matched = term(preferred.get("preference") or {}, nodes)
            if matched is not None:
                total += matched * int(preferred.get("weight") or 0)
        return normalized(total, feasible)


class NodeAffinityNames:
    """The part of NodeAffinity that upstream decides before all filters: terms that name nodes."""

    name = "NodeAffinity"
    events = _EVENTS

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        names = _named_nodes(pod)
        if names is None:
            return None
        passed = np.zeros_like(nodes.valid)
        for name in names:
            row = nodes.row(name)
            if row is not None:
                passed[row] = True
        return passed

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        if not _named_nodes(pod):
            return Rejection(whole_pod="pod affinity terms conflict")
        text = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
        return Rejection(reasons=(Reason(text=text, rows=rejected),))


def required(pod: PodInfo, nodes: Snapshot) -> Mask | None:
    """Return which rows the pod's selector and required affinity allow; None when there are neither."""
    selector: Mapping[str, str] = pod.spec.get("nodeSelector") or {}
    affinity = _required_affinity(pod)
    if not selector and affinity is None:
        return None
    passed = np.ones_like(nodes.valid)
    for key, value in selector.items():
        passed &= label_in(nodes, key, (value,))
    if affinity is not None:
        passed &= any_term(affinity.get("nodeSelectorTerms") or (), nodes)
    return passed


def _node_affinity(pod: PodInfo) -> Object:
    affinity: Object = pod.spec.get("affinity") or {}
    found: Object = affinity.get("nodeAffinity") or {}
    return found


def _required_affinity(pod: PodInfo) -> Object | None:
    found: Object | None = _node_affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution")
    return found


def _named_nodes(pod: PodInfo) -> set[str] | None:
    """Return the names among which every term chooses; None when some term names no node."""
    terms = (_required_affinity(pod) or {}).get("nodeSelectorTerms")
    if not terms:
        return None
    names: set[str] = set()
    for one in terms:
        fields = [f for f in one.get("matchFields") or () if _names_nodes(f)]
        if not fields:
            return None
        names |= set.intersection(*(set(field.get("values") or ()) for field in fields))
    return names


def _names_nodes(requirement: Object) -> bool:
    return requirement.get("key") == NAME_FIELD and requirement.get("operator") == "In"
