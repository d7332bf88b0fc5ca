"""How many replicas a metric asks for. Pure. Upstream: pkg/controller/podautoscaler/replica_calculator.go.

All amounts are in thousandths, as upstream's MilliValue. Pods without a metric are counted against the
change: as if they were idle when the others are busy, and as busy as wanted when the others are idle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339
from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.amounts import pod_amounts
from podium.machinery.errors import Object
from podium.machinery.quantity import parse

REPLICAS_MAX = 2**31 - 1
CPU = "cpu"


class MetricError(Exception):
    """A metric says nothing. The message is upstream's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMetric:
    """What one pod has been measured at."""

    milli: int
    at: datetime
    window: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """By which part of the target the metric may be off before anything happens."""

    up: float
    down: float

    def allow(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """When CPU metrics of young pods count, in seconds."""

    cpu_initialization_s: float = 300.0
    initial_delay_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    replicas: int
    usage: int
    """What is measured, in thousandths: a pod's mean, or the whole where the target is for the whole."""
    utilization: int | None = None
    """The same as a percentage of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What all metrics of one autoscaler have in common."""

    replicas: int
    """What the target asks for now."""
    status_replicas: int
    pods: tuple[Object, ...]
    """Those that the target selects."""
    tolerances: Tolerances
    readiness: Readiness
    now: datetime


Metrics = Mapping[str, PodMetric]
_RatioOf = Callable[[Mapping[str, int]], float]


def utilization_replicas(
    scene: Scene, metrics: Metrics, resource: str, container: str, target_percent: int
) -> Proposal:
    """Return what a resource's use asks for, measured by what the pods requested. Raises MetricError."""
    groups = _Groups.of(scene, metrics, resource)
    requests = {meta.name(pod): _request(pod, container, resource) for pod in scene.pods}
    measured = {name: metrics[name].milli for name in groups.measured}
    ratio, utilization, usage = _utilization(measured, requests, target_percent)

    def ratio_of(assumed: Mapping[str, int]) -> float:
        return _utilization(assumed, requests, target_percent)[0]

    fallback = max(100, target_percent)
    busy = {name: requests[name] * fallback // 100 for name in groups.missing}
    return Proposal(
        replicas=_replicas(scene, groups, measured, ratio, busy, ratio_of),
        usage=usage,
        utilization=utilization,
    )


def plain_replicas(scene: Scene, metrics: Metrics, resource: str, target: int) -> Proposal:
    """Return what the pods' mean of a metric asks for. Raises MetricError."""
    groups = _Groups.of(scene, metrics, resource)
    measured = {name: metrics[name].milli for name in groups.measured}

    def ratio_of(assumed: Mapping[str, int]) -> float:
        return _quotient(sum(assumed.values()), len(assumed)) / target

    usage = _quotient(sum(measured.values()), len(measured))
    busy = dict.fromkeys(groups.missing, target)
    replicas = _replicas(scene, groups, measured, usage / target, busy, ratio_of)
    return Proposal(replicas=replicas, usage=usage)


def whole_replicas(scene: Scene, usage: int, target: int) -> Proposal:
    """Return what one value for all pods together asks for, the target being for all. Raises MetricError."""
    ratio = usage / target
    if scene.replicas == 0:
        return Proposal(replicas=_ceil(ratio), usage=usage)
    if scene.tolerances.allow(ratio):
        return Proposal(replicas=scene.replicas, usage=usage)
    if not scene.pods:
        raise MetricError(
            "unable to calculate ready pods: no pods returned by selector while calculating replica count"
        )
    ready = sum(1 for pod in scene.pods if podlib.phase(pod) == "Running" and podlib.is_ready(pod))
    return Proposal(replicas=_ceil(ratio * ready), usage=usage)


def per_pod_replicas(scene: Scene, usage: int, target: int) -> Proposal:
    """Return what one value for all pods together asks for, the target being for each pod."""
    replicas = scene.status_replicas
    ratio = usage / (target * replicas) if replicas else math.inf if usage else math.nan
    if not scene.tolerances.allow(ratio):
        replicas = _ceil(usage / target)
    each = math.ceil(usage / scene.status_replicas) if scene.status_replicas else usage
    return Proposal(replicas=replicas, usage=each)


def _ceil(value: float) -> int:
    return min(REPLICAS_MAX, math.ceil(value))


def _quotient(total: int, count: int) -> int:
    """Divide as Go does: towards zero."""
    return total // count if total >= 0 else -(-total // count)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Groups:
    """The names of a target's pods, by what their metrics are worth."""

    ready_count: int
    unready: frozenset[str]
    missing: frozenset[str]
    measured: tuple[str, ...]
    """With a metric that counts."""

    @staticmethod
    def of(scene: Scene, metrics: Metrics, resource: str) -> _Groups:
        """Raises MetricError when there is nothing to go by."""
        if not scene.pods:
            raise MetricError("no pods returned by selector while calculating replica count")
        unready, missing, ignored, ready_count = set(), set(), set(), 0
        for pod in scene.pods:
            name = meta.name(pod)
            if meta.deleting(pod) or podlib.phase(pod) == "Failed":
                ignored.add(name)
            elif podlib.phase(pod) == "Pending":
                unready.add(name)
            elif name not in metrics:
                missing.add(name)
            elif resource == CPU and _too_young(pod, metrics[name], scene):
                unready.add(name)
            else:
                ready_count += 1
        measured = tuple(name for name in metrics if name not in unready and name not in ignored)
        if not measured:
            raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
        return _Groups(
            ready_count=ready_count,
            unready=frozenset(unready),
            missing=frozenset(missing),
            measured=measured,
        )


def _too_young(pod: Object, metric: PodMetric, scene: Scene) -> bool:
    """Tell whether what a pod used says more about its start than about its work."""
    condition = meta.find_condition(pod, "Ready")
    started = meta.dig(pod, "status", "startTime")
    if condition is None or not started:
        return True
    unready = condition.get("status") == "False"
    changed = parse_rfc3339(condition.get("lastTransitionTime") or started)
    start = parse_rfc3339(started)
    if start + timedelta(seconds=scene.readiness.cpu_initialization_s) > scene.now:
        return unready or metric.at < changed + metric.window
    return unready and start + timedelta(seconds=scene.readiness.initial_delay_s) > changed


def _replicas(
    scene: Scene,
    groups: _Groups,
    measured: Mapping[str, int],
    ratio: float,
    busy: Mapping[str, int],
    ratio_of: _RatioOf,
) -> int:
    """Return the replicas that `ratio` asks for, the pods without metrics taken into account."""
    idle_too = bool(groups.unready) and ratio > 1.0
    if not idle_too and not groups.missing:
        within = scene.tolerances.allow(ratio)
        return scene.replicas if within else _ceil(ratio * groups.ready_count)
    assumed = dict(measured)
    if ratio < 1.0:
        assumed.update(busy)
    elif ratio > 1.0:
        assumed.update(dict.fromkeys(groups.missing, 0))
    if idle_too:
        assumed.update(dict.fromkeys(groups.unready, 0))
    new = ratio_of(assumed)
    turned = (ratio < 1.0 < new) or (new < 1.0 < ratio)
    if scene.tolerances.allow(new) or turned:
        return scene.replicas
    replicas = _ceil(new * len(assumed))
    backwards = (new < 1.0 and replicas > scene.replicas) or (new > 1.0 and replicas < scene.replicas)
    return scene.replicas if backwards else replicas


def _utilization(
    measured: Mapping[str, int], requests: Mapping[str, int], target_percent: int
) -> tuple[float, int, int]:
    """Return the ratio to the target, the utilisation in percent, and the mean. Raises MetricError."""
    known = [name for name in measured if name in requests]
    total = sum(measured[name] for name in known)
    requested = sum(requests[name] for name in known)
    if requested == 0:
        raise MetricError("no metrics returned matched known pods")
    percent = _quotient(total * 100, requested)
    return percent / target_percent, percent, _quotient(total, len(known))


def _request(pod: Object, container: str, resource: str) -> int:
    """Return what a pod, or one of its containers, requests. Raises MetricError when it does not say."""
    spec: Object = pod.get("spec") or {}
    if not container and (spec.get("resources") or {}).get("requests"):
        amount = pod_amounts(spec, "requests").get(resource)
        if amount is None:
            raise MetricError(f"missing pod-level request for {resource} in Pod {meta.name(pod)}")
        return amount.milli()
    total = 0
    for one in _running_containers(spec):
        if container and one.get("name") != container:
            continue
        text = ((one.get("resources") or {}).get("requests") or {}).get(resource)
        if text is None:
            name = one.get("name")
            raise MetricError(f"missing request for {resource} in container {name} of Pod {meta.name(pod)}")
        total += parse(text).milli()
        if container:
            return total
    if container:
        raise MetricError(f"container {container} not found in Pod {meta.name(pod)}")
    return total


def _running_containers(spec: Object) -> Iterable[Object]:
    yield from spec.get("containers") or ()
    yield from (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
