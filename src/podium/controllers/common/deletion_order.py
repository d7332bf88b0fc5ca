"""Which pods are missed least, when there are too many. Pure. Upstream: controller_utils.go, ActivePods."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import Object

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_NEVER = datetime.max.replace(tzinfo=UTC)


def by_stage(pods: Iterable[Object]) -> list[Object]:
    """Return `pods`, first the one to be missed least: those that have come least far, then the younger."""

    def order(pod: Object) -> tuple[object, ...]:
        since = podlib.ready_since(pod) or _NEVER
        return (
            *_stage(pod),
            -since.timestamp() if podlib.is_ready(pod) else 0.0,
            *_restarts(pod),
            -(podlib.created_at(pod) or _NEVER).timestamp(),
        )

    return sorted(pods, key=order)


def ranked(pods: Sequence[Object], ranks: Mapping[str, int], now: datetime) -> list[Object]:
    """Return `pods`, first the one to be missed least: unassigned before assigned, pending before running,
    not ready before ready, cheap before dear, crowded nodes first (`ranks` says how many siblings are there),
    younger before older (by powers of two of their age, then by uid), often restarted first."""

    def order(pod: Object) -> tuple[object, ...]:
        ready = podlib.is_ready(pod)
        return (
            *_stage(pod),
            deletion_cost(pod),
            -ranks.get(podlib.node_name(pod), 0),
            _age_power(podlib.ready_since(pod), now) if ready else 0,
            *_restarts(pod),
            _age_power(podlib.created_at(pod), now),
            meta.uid(pod),
        )

    return sorted(pods, key=order)


def deletion_cost(pod: Object) -> int:
    try:
        return int(meta.annotations(pod).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _stage(pod: Object) -> tuple[bool, int, bool]:
    return bool(podlib.node_name(pod)), _PHASES.get(podlib.phase(pod), 0), podlib.is_ready(pod)


def _restarts(pod: Object) -> tuple[int, int]:
    """Return the restarts of the main containers, and of those that run beside them; more come first."""
    return -podlib.restarts(pod), -podlib.sidecar_restarts(pod)


def _age_power(since: datetime | None, now: datetime) -> int:
    """Return the age as a power of two of nanoseconds: ages that differ by less count as alike."""
    if since is None:
        return -2  # before any age
    age_ns = (now - since).total_seconds() * 1e9
    return int(math.log2(age_ns)) if age_ns > 1 else -1
