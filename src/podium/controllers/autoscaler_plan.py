"""What the autoscaler decides, once the target's scale and the metrics have been read. Pure.

    scale out of range            to the nearest bound, no metrics asked
    scale at zero                 left alone (unless the autoscaler itself brought it there)
    else                          the most that any metric asks for, then stabilised and limited

Upstream: pkg/controller/podautoscaler/horizontal.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podium.controllers.autoscaler_limits import History, Range, limit
from podium.controllers.autoscaler_replicas import (
    MetricError,
    PodMetric,
    Proposal,
    Readiness,
    Scene,
    Tolerances,
    per_pod_replicas,
    plain_replicas,
    utilization_replicas,
    whole_replicas,
)
from podium.machinery import labels, meta
from podium.machinery.errors import Object
from podium.machinery.quantity import Quantity, parse

ABLE, ACTIVE, LIMITED, TO_ZERO = "AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero"
_MILLI_NANOS = 10**6

Reading = Mapping[str, PodMetric] | Sequence[int] | MetricError
"""What one metric was found to be: by pod, or as values of the whole, in thousandths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The flags `--horizontal-pod-autoscaler-*`, and the gates."""

    sync_period_s: float = 15.0
    downscale_stabilization_s: float = 300.0
    tolerance: float = 0.1
    readiness: Readiness = field(default_factory=Readiness)
    workers: int = 5
    scale_to_zero: bool = False
    configurable_tolerance: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The state of the world."""

    autoscaler: Object
    scale: Object
    pods: tuple[Object, ...] = ()
    """Those that the target selects."""
    readings: Sequence[Reading] = ()
    """One for each metric of the autoscaler."""
    selector_problem: tuple[str, str, str] | None = None
    """Why the pods cannot be told: the event's reason, the condition's reason, the message."""
    history: History = field(default_factory=History)
    now: datetime
    now_s: float


@dataclass(frozen=True, slots=True)
class Event:
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do and to say."""

    conditions: list[Object]
    metrics: list[Object] | None
    history: History
    replicas: int | None = None
    """None: that could not be found out, and everything stays."""
    rescale: bool = False
    reason: str = ""
    events: tuple[Event, ...] = ()


def current_replicas(scale: Object) -> int:
    return int(meta.dig(scale, "spec", "replicas") or 0)


def min_replicas(autoscaler: Object) -> int:
    given = autoscaler["spec"].get("minReplicas")
    return 1 if given is None else int(given)


def needs_metrics(autoscaler: Object, scale: Object, options: Options) -> bool:
    """Tell whether the metrics have a say."""
    replicas = current_replicas(scale)
    if replicas == 0:
        return _may_leave_zero(autoscaler, options)
    return min_replicas(autoscaler) <= replicas <= int(autoscaler["spec"]["maxReplicas"])


def _may_leave_zero(autoscaler: Object, options: Options) -> bool:
    if not options.scale_to_zero or not meta.condition_true(autoscaler, TO_ZERO):
        return False
    return min_replicas(autoscaler) != 0 or has_outside_metrics(autoscaler)


def has_outside_metrics(autoscaler: Object) -> bool:
    """Tell whether some metric can be known while there are no pods."""
    return any(m.get("type") in ("Object", "External") for m in autoscaler["spec"].get("metrics") or ())


def plan(seen: Seen, options: Options) -> Decision:
    """Decide about one autoscaler."""
    autoscaler, scale = seen.autoscaler, seen.scale
    conditions = with_condition(
        meta.dig(autoscaler, "status", "conditions"),
        ABLE,
        True,
        ("SucceededGetScale", "the HPA controller was able to get the target's current scale"),
        seen.now,
    )
    current, least = current_replicas(scale), min_replicas(autoscaler)
    most = int(autoscaler["spec"]["maxReplicas"])
    if needs_metrics(autoscaler, scale, options):
        return _by_metrics(seen, options, conditions)
    replicas, reason = current, ""
    if current == 0:
        why = ("ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
        conditions = with_condition(conditions, ACTIVE, False, why, seen.now)
        if not options.scale_to_zero:
            conditions = _without(conditions, TO_ZERO)
    elif current > most:
        replicas, reason = most, "Current number of replicas above Spec.MaxReplicas"
    else:
        replicas, reason = least, "Current number of replicas below Spec.MinReplicas"
    return Decision(
        conditions=conditions,
        metrics=None,
        history=seen.history,
        replicas=replicas,
        rescale=replicas != current,
        reason=reason,
    )


def _by_metrics(seen: Seen, options: Options, conditions: list[Object]) -> Decision:
    autoscaler = seen.autoscaler
    current, least = current_replicas(seen.scale), min_replicas(autoscaler)
    asked = _ask_metrics(seen, options)
    events = list(asked.events)
    conditions = with_condition(conditions, ACTIVE, asked.replicas is not None, asked.why, seen.now)
    if asked.replicas is None:
        events.append(Event("Warning", "FailedComputeMetricsReplicas", asked.problem))
        return Decision(
            conditions=conditions, metrics=asked.statuses, history=seen.history, events=tuple(events)
        )
    wanted = max(0, asked.replicas)
    reason = ""
    if wanted > current:
        reason = f"{asked.metric} above target"
    elif wanted < current:
        reason = "All metrics below target"
    limited = limit(
        wanted,
        Range(current=current, min=least, max=int(autoscaler["spec"]["maxReplicas"])),
        autoscaler["spec"].get("behavior"),
        seen.history,
        options.downscale_stabilization_s,
        seen.now_s,
    )
    conditions = with_condition(conditions, ABLE, True, limited.able, seen.now)
    conditions = with_condition(conditions, LIMITED, limited.limited, limited.limit, seen.now)
    replicas = limited.replicas
    if current == 0 and least and replicas < least:
        replicas, reason = least, reason or "Current number of replicas below Spec.MinReplicas"
    return Decision(
        conditions=conditions,
        metrics=asked.statuses,
        history=limited.history,
        replicas=replicas,
        rescale=replicas != current,
        reason=reason,
        events=tuple(events),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What all metrics together say."""

    replicas: int | None
    metric: str = ""
    statuses: list[Object] | None = None
    why: tuple[str, str]
    problem: str = ""
    events: tuple[Event, ...] = ()


def _ask_metrics(seen: Seen, options: Options) -> _Asked:
    if seen.selector_problem is not None:
        event_reason, reason, message = seen.selector_problem
        said = (
            "the HPA target's scale is missing a selector" if event_reason == "SelectorRequired" else message
        )
        return _Asked(
            replicas=None,
            why=(reason, said),
            problem=message,
            events=(Event("Warning", event_reason, message),),
        )
    scene = _scene(seen, options)
    specs: Sequence[Object] = seen.autoscaler["spec"].get("metrics") or ()
    replicas, metric, statuses, failures = 0, "", [], []
    events: list[Event] = []
    for spec, reading in zip(specs, seen.readings, strict=True):
        try:
            proposal, name, status = _ask_metric(scene, spec, reading)
        except _Failure as failure:
            statuses.append({"type": ""})
            failures.append(failure)
            events.append(Event("Warning", failure.reason, failure.said))
            continue
        statuses.append(status)
        if replicas == 0 or proposal.replicas > replicas:
            replicas, metric = proposal.replicas, name
    problem = ""
    if failures:
        first = failures[0]
        problem = (
            f"invalid metrics ({len(failures)} invalid out of {len(specs)}), first error is: {first.whole}"
        )
        if len(failures) >= len(specs) or replicas < scene.replicas:
            why = (first.reason, f"the HPA was unable to compute the replica count: {first.said}")
            return _Asked(replicas=None, statuses=statuses, why=why, problem=problem, events=tuple(events))
    text = f"the HPA was able to successfully calculate a replica count from {metric}"
    return _Asked(
        replicas=replicas,
        metric=metric,
        statuses=statuses,
        why=("ValidMetricFound", text),
        problem=problem,
        events=tuple(events),
    )


def _scene(seen: Seen, options: Options) -> Scene:
    up = down = options.tolerance
    behavior = seen.autoscaler["spec"].get("behavior")
    if behavior and options.configurable_tolerance:
        up = _tolerance(behavior.get("scaleUp"), up)
        down = _tolerance(behavior.get("scaleDown"), down)
    return Scene(
        replicas=current_replicas(seen.scale),
        status_replicas=int(meta.dig(seen.scale, "status", "replicas") or 0),
        pods=seen.pods,
        tolerances=Tolerances(up=up, down=down),
        readiness=options.readiness,
        now=seen.now,
    )


def _tolerance(rules: Object | None, default: float) -> float:
    given = (rules or {}).get("tolerance")
    return default if given is None else parse(given).nanos / 10**9


class _Failure(Exception):
    """One metric that cannot be used: the condition's reason, what it says, and the error as a whole."""

    def __init__(self, reason: str, said: str, whole: str) -> None:
        super().__init__(whole)
        self.reason, self.said, self.whole = reason, said, whole


_Answer = tuple[Proposal, str, Object]
"""What a metric asks for, its name in messages, its status."""


def _ask_metric(scene: Scene, spec: Object, reading: Reading) -> _Answer:
    match spec["type"]:
        case "Resource":
            return _ask_resource(scene, spec["resource"], reading, "")
        case "ContainerResource":
            source = spec["containerResource"]
            return _ask_resource(scene, source, reading, source["container"])
        case "Pods":
            return _ask_pods(scene, spec["pods"], reading)
        case "Object":
            return _ask_object(scene, spec["object"], reading)
        case _:
            return _ask_external(scene, spec["external"], reading)


def _ask_resource(scene: Scene, source: Object, reading: Reading, container: str) -> _Answer:
    name, target = source["name"], source["target"]
    kind = "container" if container else ""
    by_value = target.get("averageValue") is not None
    try:
        by_pod = _by_pod(reading)
        if by_value:
            goal = parse(target["averageValue"]).milli()
            proposal = plain_replicas(scene, by_pod, name, goal)
        else:
            proposal = utilization_replicas(scene, by_pod, name, container, target["averageUtilization"])
    except MetricError as error:
        said = f"failed to get {name} {'usage' if by_value else 'utilization'}: {error}"
        reason = "FailedGetContainerResourceMetric" if container else "FailedGetResourceMetric"
        whole = f"{container} container" if container else f"{name} resource"
        raise _Failure(reason, said, f"failed to get {whole} metric value: {said}") from error
    text = f"{name} resource"
    if not by_value:
        text = f"{name} {kind + ' ' if kind else ''}resource utilization (percentage of request)"
    current: Object = {"averageValue": _quantity(proposal.usage, binary=name == "memory")}
    if proposal.utilization is not None:
        current["averageUtilization"] = proposal.utilization
    if container:
        status: Object = {"name": name, "container": container, "current": current}
        return proposal, text, {"type": "ContainerResource", "containerResource": status}
    return proposal, text, {"type": "Resource", "resource": {"name": name, "current": current}}


def _ask_pods(scene: Scene, source: Object, reading: Reading) -> _Answer:
    name = source["metric"]["name"]
    try:
        by_pod = _by_pod(reading)
        proposal = plain_replicas(scene, by_pod, "", parse(source["target"]["averageValue"]).milli())
    except MetricError as error:
        whole = f"failed to get pods metric value: {error}"
        raise _Failure("FailedGetPodsMetric", str(error), whole) from error
    current = {"averageValue": _quantity(proposal.usage)}
    status = {"type": "Pods", "pods": {"metric": source["metric"], "current": current}}
    return proposal, f"pods metric {name}", status


def _ask_object(scene: Scene, source: Object, reading: Reading) -> _Answer:
    name, target, of = source["metric"]["name"], source["target"], source["describedObject"]
    each = target.get("averageValue") is not None
    try:
        (usage,) = _values(reading)
        proposal, current = _for_whole(scene, usage, target)
    except MetricError as error:
        said = str(error)
        inner = f"failed to get {name} object metric: {said}" if each else said
        whole = f"failed to get object metric value: {inner}"
        raise _Failure("FailedGetObjectMetric", said, whole) from error
    body = {"metric": source["metric"], "describedObject": of, "current": current}
    text = _outside(source["metric"]) if each else f"{of['kind']} metric {name}"
    return proposal, text, {"type": "Object", "object": body}


def _ask_external(scene: Scene, source: Object, reading: Reading) -> _Answer:
    name, target = source["metric"]["name"], source["target"]
    each = target.get("averageValue") is not None
    try:
        usage = sum(_values(reading))
        proposal, current = _for_whole(scene, usage, target)
    except MetricError as error:
        said = str(error)
        inner = f"{name} external metric" if each else f"external metric {name}"
        whole = f"failed to get {name} external metric value: failed to get {inner}: {said}"
        raise _Failure("FailedGetExternalMetric", said, whole) from error
    status = {"type": "External", "external": {"metric": source["metric"], "current": current}}
    return proposal, _outside(source["metric"]), status


def _for_whole(scene: Scene, usage: int, target: Object) -> tuple[Proposal, Object]:
    """Return what one value of the whole asks for, and how it is shown."""
    if target.get("averageValue") is not None:
        proposal = per_pod_replicas(scene, usage, parse(target["averageValue"]).milli())
        return proposal, {"averageValue": _quantity(proposal.usage)}
    proposal = whole_replicas(scene, usage, parse(target["value"]).milli())
    return proposal, {"value": _quantity(proposal.usage)}


def _by_pod(reading: Reading) -> Mapping[str, PodMetric]:
    if isinstance(reading, MetricError):
        raise reading
    assert isinstance(reading, Mapping), "this kind of metric is read by pod"
    return reading


def _values(reading: Reading) -> Sequence[int]:
    if isinstance(reading, MetricError):
        raise reading
    assert not isinstance(reading, Mapping), "this kind of metric is read as a whole"
    return reading


def unreadable(spec: Object, namespace: str, error: MetricError) -> MetricError:
    """Return the error of a metric that could not be read, with what was asked for."""
    match spec["type"]:
        case "Resource" | "ContainerResource" as kind:
            source = spec["resource" if kind == "Resource" else "containerResource"]
            return MetricError(f"unable to get metrics for resource {source['name']}: {error}")
        case "Pods":
            return MetricError(f"unable to get metric {spec['pods']['metric']['name']}: {error}")
        case "Object":
            of, name = spec["object"]["describedObject"], spec["object"]["metric"]["name"]
            return MetricError(
                f"unable to get metric {name}: {error} on {of['kind']} {namespace}/{of['name']}"
            )
        case _:
            metric = spec["external"]["metric"]
            which = labels.printed(metric.get("selector"))
            return MetricError(f"unable to get external metric {namespace}/{metric['name']}/{which}: {error}")


def _quantity(milli: int, *, binary: bool = False) -> str:
    return str(Quantity(milli * _MILLI_NANOS, "BinarySI" if binary else "DecimalSI"))


def _outside(metric: Object) -> str:
    return f"external metric {metric['name']}({labels.printed(metric.get('selector'))})"


def after_rescale(decision: Decision, seen: Seen, options: Options) -> list[Object]:
    """Return the conditions once the target has been scaled."""
    replicas = decision.replicas or 0
    why = ("SucceededRescale", f"the HPA controller was able to update the target scale to {replicas}")
    conditions = with_condition(decision.conditions, ABLE, True, why, seen.now)
    if not options.scale_to_zero:
        return _without(conditions, TO_ZERO)
    to_zero = (
        replicas == 0
        and current_replicas(seen.scale) > 0
        and min_replicas(seen.autoscaler) == 0
        and has_outside_metrics(seen.autoscaler)
    )
    said = ("ScaledToZero", "the HPA controller scaled the workload to zero")
    if not to_zero:
        said = ("NotScaledToZero", "the HPA controller did not scale the workload to zero")
    return with_condition(conditions, TO_ZERO, to_zero, said, seen.now)


def with_condition(
    conditions: list[Object] | None, type: str, true: bool, why: tuple[str, str], now: datetime
) -> list[Object]:
    """Return the conditions with this one."""
    condition = {"type": type, "status": "True" if true else "False", "reason": why[0], "message": why[1]}
    return meta.set_condition(conditions, condition, now)


def _without(conditions: list[Object], type: str) -> list[Object]:
    return [condition for condition in conditions if condition.get("type") != type]
