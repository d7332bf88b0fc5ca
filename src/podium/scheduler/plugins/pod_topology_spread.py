"""PodTopologySpread: pods that belong together are kept apart, in zones and on nodes.

A pod says with `topologySpreadConstraints` what to spread over and how strictly. One that says nothing is
spread loosely among the pods of the same controller, over nodes and zones, as upstream does by default.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from podium.machinery import labels
from podium.machinery.errors import Object
from podium.scheduler.framework import SCORE_MAX, ClusterEvent, Reason, Rejection
from podium.scheduler.interner import NOTHING
from podium.scheduler.plugins import node_affinity
from podium.scheduler.plugins.taint_toleration import TaintToleration
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Numbers, PodGroup, Snapshot, Vector

HOSTNAME = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
_MISMATCH = "node(s) didn't match pod topology spread constraints"
_NO_LABEL = f"{_MISMATCH} (missing required label)"


@dataclass(frozen=True, slots=True)
class SameOwner:
    """The pods of one controller."""

    namespace: str
    owner_uid: str

    def has(self, pod: PodInfo) -> bool:
        return pod.owner_uid == self.owner_uid


@dataclass(frozen=True, slots=True)
class Selected:
    """The pods that a label selector matches. An empty selector matches none here, as upstream has it."""

    namespace: str
    selector: labels.Selector
    owner_uid: str = ""

    def has(self, pod: PodInfo) -> bool:
        return not self.selector.empty and self.selector.matches(pod.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One topologySpreadConstraint, with its defaults filled in."""

    topology_key: str
    skew_max: int
    group: PodGroup
    matches_pod: bool
    """The pod to be placed will itself count."""
    domains_min: int = 1
    honors_affinity: bool = True
    honors_taints: bool = False


class PodTopologySpread:
    name = "PodTopologySpread"
    weight = 2
    events = frozenset(ClusterEvent)

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        constraints = declared(pod, "DoNotSchedule")
        if not constraints:
            return None
        labelled = _labelled(constraints, nodes)
        passed = labelled.copy()
        for constraint in constraints:
            passed &= _within_skew(constraint, pod, nodes, labelled)
        return passed

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        unlabelled = np.zeros_like(rejected)
        undecided = rejected.copy()
        constraints = declared(pod, "DoNotSchedule")
        labelled = _labelled(constraints, nodes)
        for constraint in constraints:  # the first that a node fails is the one to name
            column = nodes.label(constraint.topology_key)
            missing = undecided if column is None else undecided & (column == NOTHING)
            unlabelled |= missing
            undecided &= ~missing
            undecided &= _within_skew(constraint, pod, nodes, labelled)
        skewed = rejected & ~unlabelled
        return Rejection(
            reasons=(Reason(text=_NO_LABEL, rows=unlabelled), Reason(text=_MISMATCH, rows=skewed)),
            resolvable=skewed,
        )

    def score(self, pod: PodInfo, nodes: Snapshot, feasible: Mask) -> Vector | None:
        constraints = declared(pod, "ScheduleAnyway")
        own = bool(pod.spec.get("topologySpreadConstraints"))
        if not own and pod.owner_uid:
            constraints = _by_default(SameOwner(pod.namespace, pod.owner_uid))
        if not constraints:
            return None
        # Constraints of the pod's own leave out nodes without the labels; the default ones take all nodes.
        eligible = _labelled(constraints, nodes) if own else nodes.valid
        scored = feasible & eligible
        total: npt.NDArray[np.float64] = np.zeros(len(feasible), np.float64)
        for constraint in constraints:
            total += _crowding(constraint, pod, nodes, eligible, scored)
        return _best_least(np.rint(total).astype(np.int64), scored)


def declared(pod: PodInfo, action: str) -> Sequence[Constraint]:
    """Return the pod's own constraints with this `whenUnsatisfiable`. A selector that upstream could not
    parse makes its constraint void."""
    constraints = []
    for declaration in pod.spec.get("topologySpreadConstraints") or ():
        if declaration.get("whenUnsatisfiable") != action:
            continue
        try:
            selector = _selector(declaration, pod)
        except ValueError:
            continue
        group = Selected(pod.namespace, selector)
        constraints.append(
            Constraint(
                topology_key=declaration.get("topologyKey", ""),
                skew_max=declaration.get("maxSkew") or 1,
                group=group,
                matches_pod=selector.matches(pod.labels),
                domains_min=declaration.get("minDomains") or 1,
                honors_affinity=declaration.get("nodeAffinityPolicy") != "Ignore",
                honors_taints=declaration.get("nodeTaintsPolicy") == "Honor",
            )
        )
    return constraints


def _selector(declaration: Object, pod: PodInfo) -> labels.Selector:
    selector = labels.from_label_selector(declaration.get("labelSelector"))
    keys = declaration.get("matchLabelKeys") or ()
    more = labels.from_map({key: pod.labels[key] for key in keys if key in pod.labels})
    if selector.nothing or more.empty:
        return selector
    return labels.Selector((*selector.requirements, *more.requirements))


def _by_default(group: PodGroup) -> Sequence[Constraint]:
    return (
        Constraint(topology_key=HOSTNAME, skew_max=3, group=group, matches_pod=True),
        Constraint(topology_key=ZONE, skew_max=5, group=group, matches_pod=True),
    )


def _labelled(constraints: Sequence[Constraint], nodes: Snapshot) -> Mask:
    """Return the rows that have every constraint's label."""
    found = nodes.valid.copy()
    for constraint in constraints:
        column = nodes.label(constraint.topology_key)
        found &= False if column is None else column != NOTHING
    return found


def _included(constraint: Constraint, pod: PodInfo, nodes: Snapshot) -> Mask:
    """Return the nodes whose pods count for a constraint."""
    included = nodes.valid.copy()
    if constraint.honors_affinity:
        allowed = node_affinity.required(pod, nodes)
        if allowed is not None:
            included &= allowed
    if constraint.honors_taints:
        tolerated = TaintToleration().filter(pod, nodes)
        if tolerated is not None:
            included &= tolerated
    return included


def _domain_counts(
    column: Numbers, counted: Mask, constraint: Constraint, nodes: Snapshot
) -> npt.NDArray[np.float64]:
    """Return how many pods of the group are in each domain, by the number of the domain's label value."""
    counts = (nodes.counts(constraint.group) * counted).astype(np.float64)
    size = nodes.label_values(constraint.topology_key).size
    return np.bincount(column, weights=counts, minlength=size).astype(np.float64, copy=False)


def _within_skew(constraint: Constraint, pod: PodInfo, nodes: Snapshot, labelled: Mask) -> Mask:
    column = nodes.label(constraint.topology_key)
    if column is None:
        return np.zeros_like(nodes.valid)
    counted = labelled & _included(constraint, pod, nodes)
    by_domain = _domain_counts(column, counted, constraint, nodes)
    domains = np.unique(column[counted])
    enough = len(domains) >= constraint.domains_min
    least = by_domain[domains].min() if enough and len(domains) else 0
    within: Mask = by_domain[column] + constraint.matches_pod - least <= constraint.skew_max
    return within


def _crowding(
    constraint: Constraint, pod: PodInfo, nodes: Snapshot, eligible: Mask, scored: Mask
) -> npt.NDArray[np.float64]:
    """Return how crowded each row's domain is with the group, weighted by how many domains there are."""
    column = nodes.label(constraint.topology_key)
    crowd: npt.NDArray[np.float64]
    if column is None:
        return np.zeros(len(scored), np.float64)
    if constraint.topology_key == HOSTNAME:
        crowd = nodes.counts(constraint.group).astype(np.float64)
        domains = np.count_nonzero(scored)
    else:
        counted = eligible & _included(constraint, pod, nodes)
        crowd = _domain_counts(column, counted, constraint, nodes)[column]
        domains = np.count_nonzero(np.bincount(column[scored]))
    crowd *= math.log(int(domains) + 2)
    crowd += constraint.skew_max - 1
    crowd *= column != NOTHING
    return crowd


def _best_least(crowding: Vector, scored: Mask) -> Vector:
    """Turn crowding into scores: the least crowded gets the most, what is not scored nothing."""
    among = crowding[scored]
    if not len(among):
        return np.zeros_like(crowding)
    highest, lowest = int(among.max()), int(among.min())
    if highest == 0:
        return scored * SCORE_MAX
    # Whole numbers far below the limit where floats would cut off differently.
    shares = (highest + lowest - crowding) * float(SCORE_MAX) / highest
    return shares.astype(np.int64) * scored
