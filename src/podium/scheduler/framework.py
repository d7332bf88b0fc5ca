"""What a scheduler plugin is: one file that sees a pod and the snapshot's columns.

A filter says which nodes can take the pod, for all nodes at once; only when none can is it asked why. A score
says how good each of the remaining nodes is, from 0 to 100; the scores are weighted and added.

    pod ──▶ filter ∧ filter ∧ … ──▶ rows that can ──▶ Σ weight · score ──▶ the best (one of the best)
                    └─▶ none can ──▶ explain, explain, …
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

import numpy as np

from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Snapshot, Vector

SCORE_MAX = 100


class ClusterEvent(Enum):
    """What may make a pod schedulable that was not."""

    NODE_ADDED = auto()
    NODE_CHANGED = auto()
    """Allocatable, labels, taints or schedulability."""
    POD_PLACED = auto()
    POD_REMOVED = auto()
    """A pod has left its node, or takes less of it."""
    POD_CHANGED = auto()
    """The waiting pod itself."""
    VOLUME_CHANGED = auto()
    """A claim, a volume, a storage class, or what its driver can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One thing that is wrong with some nodes, in upstream's words."""

    text: str
    rows: Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a plugin rejected nodes. One node may have several reasons."""

    reasons: Sequence[Reason] = ()
    resolvable: Mask | None = None
    """On which of the rejected nodes other pods are in the way; None: on none."""
    whole_pod: str = ""
    """Said instead of reasons when the pod contradicts itself, whatever the nodes."""


class Plugin(Protocol):
    @property
    def name(self) -> str: ...


class FilterPlugin(Plugin, Protocol):
    @property
    def events(self) -> frozenset[ClusterEvent]:
        """After which events a pod that this plugin rejected is worth another try."""
        ...

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        """Return which rows can take the pod; None when the plugin has nothing against any.

        Rows without a node may have either value.
        """
        ...

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        """Return why `filter` rejects the rows `rejected`."""
        ...


class ScorePlugin(Plugin, Protocol):
    @property
    def weight(self) -> int: ...

    def score(self, pod: PodInfo, nodes: Snapshot, feasible: Mask) -> Vector | None:
        """Return a score from 0 to `SCORE_MAX` for each of the nodes that can take the pod; None when they
        are all the same to this plugin.

        Only scores of feasible rows mean something. Whole columns, because picking rows out of a column
        costs more than calculating with rows that do not matter.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The plugins that make up one scheduler, filters in the order in which reasons are looked for."""

    filters: Sequence[FilterPlugin] = field(default_factory=tuple)
    scores: Sequence[ScorePlugin] = field(default_factory=tuple)


def normalized(scores: Vector, feasible: Mask, *, reverse: bool = False) -> Vector:
    """Stretch the feasible rows' scores, from 0 up, to 0..100; with `reverse`, less is better."""
    highest = int((scores * feasible).max(initial=0))
    if highest == 0:
        return np.full_like(scores, SCORE_MAX if reverse else 0)
    stretched: Vector = scores * SCORE_MAX // highest
    return SCORE_MAX - stretched if reverse else stretched
