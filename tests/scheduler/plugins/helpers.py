"""Asking one plugin about a few nodes, by their names."""

from __future__ import annotations

import numpy as np

from podium.scheduler.framework import FilterPlugin, ScorePlugin
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Snapshot


def passing(plugin: FilterPlugin, pod: PodInfo, nodes: Snapshot) -> set[str]:
    """Return the names of the nodes that the plugin lets pass."""
    mask = plugin.filter(pod, nodes)
    wanted = nodes.valid if mask is None else nodes.valid & mask
    return {nodes.names[row] for row in np.flatnonzero(wanted)}


def reasons(plugin: FilterPlugin, pod: PodInfo, nodes: Snapshot) -> dict[str, set[str]]:
    """Return the names of the rejected nodes by reason."""
    mask = plugin.filter(pod, nodes)
    rejected = np.zeros_like(nodes.valid) if mask is None else nodes.valid & ~mask
    rejection = plugin.explain(pod, nodes, rejected)
    return {
        reason.text: {nodes.names[row] for row in np.flatnonzero(reason.rows)}
        for reason in rejection.reasons
        if reason.rows.any()
    }


def resolvable(plugin: FilterPlugin, pod: PodInfo, nodes: Snapshot) -> set[str]:
    """Return the names of the rejected nodes where other pods are in the way."""
    mask = plugin.filter(pod, nodes)
    assert mask is not None
    found = plugin.explain(pod, nodes, nodes.valid & ~mask).resolvable
    return set() if found is None else {nodes.names[row] for row in np.flatnonzero(found)}


def scores(plugin: ScorePlugin, pod: PodInfo, nodes: Snapshot) -> dict[str, int] | None:
    """Return every node's score; None when the plugin has no opinion."""
    found = plugin.score(pod, nodes, nodes.valid)
    return (
        None if found is None else {nodes.names[row]: int(found[row]) for row in np.flatnonzero(nodes.valid)}
    )
