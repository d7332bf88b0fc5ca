"""The decision for one pod: a node, or the reasons why there is none. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import numpy as np

from podium.scheduler.framework import FilterPlugin, Profile
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Snapshot, Vector

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The pod goes to `node_name`."""

    node_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """The pod fits nowhere for now."""

    message: str
    """Upstream's words for it."""
    plugins: frozenset[str]
    """Who was against it; none when there is no node at all."""


def decide(pod: PodInfo, nodes: Snapshot, profile: Profile, random: Random) -> Placement | Misfit:
    """Choose a node for `pod`: at random among the best of those that every filter lets pass."""
    if not len(nodes):
        return Misfit(message=NO_NODES, plugins=frozenset())
    feasible = nodes.valid.copy()
    for plugin in profile.filters:
        passed = plugin.filter(pod, nodes)
        if passed is not None:
            feasible &= passed
    rows = np.flatnonzero(feasible)
    if len(rows) == 0:
        return explain(pod, nodes, profile)
    if len(rows) > 1:
        total = np.where(feasible, scores(pod, nodes, profile, feasible), -1)
        rows = np.flatnonzero(total == total.max())
    return Placement(node_name=nodes.names[rows[random.randrange(len(rows))]])


def scores(pod: PodInfo, nodes: Snapshot, profile: Profile, feasible: Mask) -> Vector:
    """Return the weighted sum of all scores for each feasible row."""
    total: Vector = np.zeros(len(feasible), np.int64)
    for plugin in profile.scores:
        found = plugin.score(pod, nodes, feasible)
        if found is not None:
            total += plugin.weight * found
    return total


def explain(pod: PodInfo, nodes: Snapshot, profile: Profile) -> Misfit:
    """Say why no node can take `pod`; each node is counted with the first plugin that rejects it."""
    undecided = nodes.valid.copy()
    resolvable = np.zeros_like(undecided)
    reasons: Counter[str] = Counter()
    plugins: set[str] = set()
    for plugin in profile.filters:
        rejected = _rejected(plugin, pod, nodes, undecided)
        if not rejected.any():
            continue
        undecided &= ~rejected
        plugins.add(plugin.name)
        rejection = plugin.explain(pod, nodes, rejected)
        if rejection.whole_pod:
            head = f"0/{len(nodes)} nodes are available: {rejection.whole_pod}."
            return Misfit(
                message=f"{head} {_preemption(pod, nodes, resolvable)}", plugins=frozenset((plugin.name,))
            )
        for reason in rejection.reasons:
            reasons[reason.text] += int(reason.rows.sum())
        if rejection.resolvable is not None:
            resolvable |= rejection.resolvable
    head = f"0/{len(nodes)} nodes are available: {_histogram(reasons)}."
    return Misfit(message=f"{head} {_preemption(pod, nodes, resolvable)}", plugins=frozenset(plugins))


def _rejected(plugin: FilterPlugin, pod: PodInfo, nodes: Snapshot, undecided: Mask) -> Mask:
    passed = plugin.filter(pod, nodes)
    return np.zeros_like(undecided) if passed is None else undecided & ~passed


def _histogram(reasons: Mapping[str, int]) -> str:
    # Sorted as texts, "10 …" before "2 …", as upstream.
    return ", ".join(sorted(f"{count} {text}" for text, count in reasons.items() if count))


def _preemption(pod: PodInfo, nodes: Snapshot, resolvable: Mask) -> str:
    """Say what evicting other pods would bring. This scheduler evicts none, and so finds no victims."""
    if pod.spec.get("preemptionPolicy") == "Never":
        return "preemption: not eligible due to preemptionPolicy=Never."
    victims_wanted = int(resolvable.sum())
    reasons = {
        "No preemption victims found for incoming pod": victims_wanted,
        "Preemption is not helpful for scheduling": len(nodes) - victims_wanted,
    }
    return f"preemption: 0/{len(nodes)} nodes are available: {_histogram(reasons)}."
