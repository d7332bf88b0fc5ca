"""Autoscalers: how many replicas metrics ask for, how fast they may be had, and what is said about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from podium.controllers.autoscaler_limits import READY, WITHIN_RANGE, History, Limited, Range, Sample, limit
from podium.controllers.autoscaler_plan import (
    Decision,
    Options,
    Reading,
    Seen,
    after_rescale,
    needs_metrics,
    plan,
    unreadable,
)
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
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.labels import printed
from tests.controllers.builders import pod
from tests.runtime.fakes import START

NOW = START + timedelta(hours=1)
LONG_AGO = "2026-01-01T00:00:00Z"
JUST_NOW = "2026-01-01T00:59:50Z"


def worker(
    name: str,
    *,
    cpu: str | None = "1",
    started: str = LONG_AGO,
    changed: str = LONG_AGO,
    ready: bool = True,
    phase: str = "Running",
    **metadata: Any,
) -> Object:
    made = pod(name, phase=phase, ready=ready, **metadata)
    made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu} if cpu else {}}
    made["status"]["startTime"] = started
    made["status"]["conditions"][0]["lastTransitionTime"] = changed
    return made


def measured(**milli: int) -> dict[str, PodMetric]:
    return {
        name: PodMetric(milli=value, at=NOW, window=timedelta(seconds=30)) for name, value in milli.items()
    }


def scene(*pods: Object, replicas: int | None = None, up: float = 0.1, down: float = 0.1) -> Scene:
    count = len(pods) if replicas is None else replicas
    return Scene(
        replicas=count,
        status_replicas=count,
        pods=pods,
        tolerances=Tolerances(up=up, down=down),
        readiness=Readiness(),
        now=NOW,
    )


A, B, C = (worker(name) for name in "abc")

UTILIZATION = [
    pytest.param(scene(A, B, C), measured(a=600, b=600, c=600), 30, 6, 60, id="up"),
    pytest.param(scene(A, B, C), measured(a=300, b=300, c=300), 100, 1, 30, id="down"),
    pytest.param(scene(A, B, C), measured(a=1050, b=1050, c=1050), 100, 3, 105, id="within tolerance"),
    pytest.param(
        scene(A, B, C, up=0.01), measured(a=1050, b=1050, c=1050), 100, 4, 105, id="of its own tolerance"
    ),
    pytest.param(
        scene(A, B, C), measured(a=2000, b=2000), 100, 4, 200, id="one without metrics counts as idle"
    ),
    pytest.param(scene(A, B, C), measured(a=100, b=100), 100, 2, 10, id="one without metrics counts as busy"),
    pytest.param(
        scene(A, B, worker("c", phase="Pending", ready=False)),
        measured(a=2000, b=2000),
        100,
        4,
        200,
        id="a pending one counts as idle",
    ),
    pytest.param(
        scene(A, B, worker("c", phase="Failed")),
        measured(a=500, b=500, c=9000),
        100,
        1,
        50,
        id="a failed one",
    ),
    pytest.param(
        scene(A, B, worker("c", deletionTimestamp=LONG_AGO)),
        measured(a=2000, b=2000, c=1),
        100,
        4,
        200,
        id="one that is going",
    ),
    pytest.param(
        scene(A, B, worker("c", started=JUST_NOW, ready=False, changed=JUST_NOW)),
        measured(a=1000, b=1000, c=9000),
        100,
        3,
        100,
        id="one that is starting",
    ),
    pytest.param(
        scene(A, worker("c", started=JUST_NOW, changed=JUST_NOW)),
        measured(a=1000, c=9000),
        100,
        2,
        100,
        id="measured since before it was ready",
    ),
    pytest.param(
        scene(A, worker("c", ready=False, changed="2026-01-01T00:00:10Z")),
        measured(a=1000, c=9000),
        100,
        2,
        100,
        id="never ready yet",
    ),
    pytest.param(
        scene(A, worker("c", ready=False, changed="2026-01-01T00:10:00Z")),
        measured(a=1000, c=3000),
        100,
        4,
        200,
        id="unready after it was ready",
    ),
]


@pytest.mark.parametrize(("seen", "metrics", "target", "replicas", "percent"), UTILIZATION)
def test_utilization(
    seen: Scene, metrics: dict[str, PodMetric], target: int, replicas: int, percent: int
) -> None:
    found = utilization_replicas(seen, metrics, "cpu", "", target)
    assert (found.replicas, found.utilization) == (replicas, percent)


@pytest.mark.parametrize(
    ("seen", "metrics", "container", "message"),
    [
        (scene(), measured(), "", "no pods returned by selector while calculating replica count"),
        (
            scene(worker("a", phase="Pending")),
            measured(a=1),
            "",
            "did not receive metrics for targeted pods (pods might be unready)",
        ),
        (scene(worker("a", cpu=None)), measured(a=1), "", "missing request for cpu in container c of Pod a"),
        (scene(A), measured(a=1), "x", "container x not found in Pod a"),
        (scene(A), measured(other=1), "", "no metrics returned matched known pods"),
    ],
)
def test_nothing_to_go_by(seen: Scene, metrics: dict[str, PodMetric], container: str, message: str) -> None:
    with pytest.raises(MetricError) as caught:
        utilization_replicas(seen, metrics, "cpu", container, 50)
    assert str(caught.value) == message


def test_a_pods_own_request_goes_before_its_containers() -> None:
    whole = worker("a", cpu=None)
    whole["spec"]["resources"] = {"requests": {"cpu": "2"}}
    assert utilization_replicas(scene(whole), measured(a=2000), "cpu", "", 100).utilization == 100


@pytest.mark.parametrize(
    ("metrics", "target", "expected"),
    [
        (measured(a=20000, b=10000, c=30000), 15000, (4, 20000)),
        (measured(a=1000, b=1000, c=1000), 2000, (2, 1000)),
        (measured(a=30000, b=30000), 20000, (3, 30000)),
        (measured(a=50000, b=50000), 20000, (5, 50000)),
    ],
)
def test_means_of_pods(metrics: dict[str, PodMetric], target: int, expected: tuple[int, int]) -> None:
    found = plain_replicas(scene(A, B, C), metrics, "", target)
    assert (found.replicas, found.usage) == expected


def test_one_value_for_all() -> None:
    three = scene(A, B, C)
    assert whole_replicas(three, 20000, 10000) == Proposal(replicas=6, usage=20000)
    assert whole_replicas(three, 10500, 10000).replicas == 3
    assert whole_replicas(scene(replicas=0), 25000, 10000).replicas == 3
    assert per_pod_replicas(three, 20000, 5000) == Proposal(replicas=4, usage=6667)
    assert per_pod_replicas(scene(replicas=0), 20000, 5000).replicas == 4
    assert per_pod_replicas(scene(replicas=0), 0, 5000).replicas == 0
    assert whole_replicas(scene(A), 10**30, 1).replicas == 2**31 - 1


# How fast


def limited(
    wanted: int, current: int, *, behavior: Object | None = None, at_s: float = 1000, **more: Any
) -> Limited:
    history = more.pop("history", History())
    between = Range(current=current, min=more.pop("least", 1), max=more.pop("most", 20))
    return limit(wanted, between, behavior, history, 300, at_s)


def behavior(**rules: Any) -> Object:
    """What the API server makes of a behaviour, with these rules changed."""
    up = {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ],
    }
    down = {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
    return {"scaleUp": {**up, **rules.get("up", {})}, "scaleDown": {**down, **rules.get("down", {})}}


ONE_A_MINUTE = [{"type": "Pods", "value": 1, "periodSeconds": 60}]
TENTH = [{"type": "Percent", "value": 10, "periodSeconds": 60}]
RECENT = History(recommendations=(Sample(9, 900),))


@pytest.mark.parametrize(
    ("found", "replicas", "reason"),
    [
        pytest.param(limited(5, 3), 5, "DesiredWithinRange", id="as wanted"),
        pytest.param(limited(5, 1), 4, "ScaleUpLimit", id="not faster than by default"),
        pytest.param(limited(50, 15), 20, "TooManyReplicas", id="not more than the maximum"),
        pytest.param(limited(1, 3, least=2), 2, "TooFewReplicas", id="not less than the minimum"),
        pytest.param(limited(2, 9, history=RECENT), 9, "DesiredWithinRange", id="stabilized"),
        pytest.param(limited(2, 9, history=RECENT, at_s=1300), 2, "DesiredWithinRange", id="long ago"),
        pytest.param(limited(9, 3, behavior=behavior()), 7, "ScaleUpLimit", id="four more"),
        pytest.param(limited(19, 6, behavior=behavior()), 12, "ScaleUpLimit", id="twice as many"),
        pytest.param(
            limited(19, 6, behavior=behavior(up={"selectPolicy": "Min"})),
            10,
            "ScaleUpLimit",
            id="least change",
        ),
        pytest.param(
            limited(19, 6, behavior=behavior(up={"selectPolicy": "Disabled"})),
            6,
            "ScaleUpLimit",
            id="disabled",
        ),
        pytest.param(
            limited(2, 9, behavior=behavior(down={"policies": ONE_A_MINUTE})),
            8,
            "ScaleDownLimit",
            id="one less",
        ),
        pytest.param(
            limited(
                2,
                9,
                behavior=behavior(down={"policies": ONE_A_MINUTE}),
                history=History(removed=(Sample(1, 950),)),
            ),
            9,
            "ScaleDownLimit",
            id="one less had been less than a minute ago",
        ),
        pytest.param(
            limited(2, 9, behavior=behavior(down={"policies": TENTH})), 8, "ScaleDownLimit", id="a tenth less"
        ),
        pytest.param(
            limited(2, 9, behavior=behavior(), history=RECENT), 9, "DesiredWithinRange", id="stabilized down"
        ),
        pytest.param(
            limited(
                9,
                3,
                behavior=behavior(up={"stabilizationWindowSeconds": 60}),
                history=History(recommendations=(Sample(4, 950),)),
            ),
            4,
            "DesiredWithinRange",
            id="stabilized up",
        ),
    ],
)
def test_limits(found: Limited, replicas: int, reason: str) -> None:
    assert (found.replicas, found.limit[0]) == (replicas, reason)
    assert found.limited == (found.limit != WITHIN_RANGE)


def test_what_the_limits_say_and_remember() -> None:
    assert limited(5, 5).able == READY
    assert limited(2, 9, history=RECENT).able[0] == "ScaleDownStabilized"
    assert limited(5, 5).history.recommendations == (Sample(5, 1000),)
    assert limited(2, 9, history=RECENT, at_s=1300).history.recommendations == (Sample(2, 1300),)
    assert History().with_change(None, 1, 2, 0) == History()
    changed = History(added=(Sample(1, 0),)).with_change(behavior(), 1, 3, 1000)
    assert changed == History(added=(Sample(2, 1000),))
    assert History().with_change(behavior(), 3, 1, 5) == History(removed=(Sample(2, 5),))


# Decisions

CPU_METRIC = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 100}},
}
MEMORY = {
    "type": "Resource",
    "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
}
SIDECAR = {
    "type": "ContainerResource",
    "containerResource": {
        "name": "cpu",
        "container": "c",
        "target": {"type": "Utilization", "averageUtilization": 50},
    },
}
HITS = {
    "type": "Pods",
    "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "10"}},
}
ROUTE: Object = {
    "type": "Object",
    "object": {
        "metric": {"name": "requests"},
        "describedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "front"},
        "target": {"type": "Value", "value": "2k"},
    },
}
QUEUE: Object = {
    "type": "External",
    "external": {
        "metric": {"name": "queue", "selector": {"matchLabels": {"q": "a"}}},
        "target": {"type": "AverageValue", "averageValue": "30"},
    },
}


def seen(*metrics: Object, readings: list[Reading], replicas: int = 1, pods: Any = (A,), **more: Any) -> Seen:
    spec: Object = {"minReplicas": 1, "maxReplicas": 10, "metrics": list(metrics), **more.pop("spec", {})}
    return Seen(
        autoscaler={
            "metadata": {"name": "h", "namespace": "default"},
            "spec": spec,
            "status": more.pop("status", {}),
        },
        scale={"spec": {"replicas": replicas}, "status": {"replicas": replicas, "selector": "app=web"}},
        pods=tuple(pods),
        readings=readings,
        now=NOW,
        now_s=1000,
        **more,
    )


def said(decision: Decision) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in decision.conditions}


def message(decision: Decision, type: str) -> str:
    found = meta.find_condition({"status": {"conditions": decision.conditions}}, type)
    assert found is not None
    return str(found["message"])


@pytest.mark.parametrize(
    ("metric", "reading", "replicas", "status", "reason"),
    [
        (
            CPU_METRIC,
            measured(a=2500),
            3,
            {
                "type": "Resource",
                "resource": {"name": "cpu", "current": {"averageUtilization": 250, "averageValue": "2500m"}},
            },
            "cpu resource utilization (percentage of request) above target",
        ),
        (
            MEMORY,
            measured(a=2 * 2**30 * 1000),
            2,
            {"type": "Resource", "resource": {"name": "memory", "current": {"averageValue": "2Gi"}}},
            "memory resource above target",
        ),
        (
            SIDECAR,
            measured(a=1000),
            2,
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "c",
                    "current": {"averageUtilization": 100, "averageValue": "1"},
                },
            },
            "cpu container resource utilization (percentage of request) above target",
        ),
        (
            HITS,
            measured(a=25000),
            3,
            {"type": "Pods", "pods": {"metric": {"name": "hits"}, "current": {"averageValue": "25"}}},
            "pods metric hits above target",
        ),
        (
            ROUTE,
            [4_000_000],
            2,
            {
                "type": "Object",
                "object": {
                    "metric": {"name": "requests"},
                    "describedObject": ROUTE["object"]["describedObject"],
                    "current": {"value": "4k"},
                },
            },
            "Ingress metric requests above target",
        ),
        (
            QUEUE,
            [60000, 30000],
            3,
            {
                "type": "External",
                "external": {"metric": QUEUE["external"]["metric"], "current": {"averageValue": "90"}},
            },
            "external metric queue(&LabelSelector{MatchLabels:map[string]string{q: a,},"
            "MatchExpressions:[]LabelSelectorRequirement{},}) above target",
        ),
    ],
)
def test_every_kind_of_metric(
    metric: Object, reading: Reading, replicas: int, status: Object, reason: str
) -> None:
    decision = plan(seen(metric, readings=[reading]), Options())
    assert (decision.replicas, decision.rescale, decision.reason) == (replicas, True, reason)
    assert decision.metrics == [status]
    assert said(decision) == {
        "AbleToScale": ("True", "ReadyForNewScale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }


def test_the_metric_that_asks_for_most_wins_and_others_may_fail() -> None:
    broken = MetricError("gone")
    decision = plan(seen(CPU_METRIC, HITS, readings=[broken, measured(a=30000)]), Options())
    assert decision.replicas == 3
    assert [m["type"] for m in decision.metrics or ()] == ["", "Pods"]
    assert [event.reason for event in decision.events] == ["FailedGetResourceMetric"]
    # With a metric missing, nothing is taken away.
    fewer = plan(
        seen(CPU_METRIC, HITS, readings=[broken, measured(a=1, b=1)], replicas=2, pods=(A, B)), Options()
    )
    assert (fewer.replicas, fewer.rescale) == (None, False)


def test_no_metric_at_all() -> None:
    error = unreadable(CPU_METRIC, "default", MetricError("no metrics returned from resource metrics API"))
    decision = plan(seen(CPU_METRIC, readings=[error]), Options())
    inner = (
        "failed to get cpu utilization: unable to get metrics for resource cpu: "
        "no metrics returned from resource metrics API"
    )
    assert said(decision)["ScalingActive"] == ("False", "FailedGetResourceMetric")
    assert message(decision, "ScalingActive") == f"the HPA was unable to compute the replica count: {inner}"
    assert [(event.reason, event.message) for event in decision.events] == [
        ("FailedGetResourceMetric", inner),
        (
            "FailedComputeMetricsReplicas",
            "invalid metrics (1 invalid out of 1), first error is: "
            f"failed to get cpu resource metric value: {inner}",
        ),
    ]


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (ROUTE, "unable to get metric requests: x on Ingress default/front"),
        (HITS, "unable to get metric hits: x"),
        (
            QUEUE,
            "unable to get external metric default/queue/&LabelSelector{MatchLabels:map[string]string{q: a,},"
            "MatchExpressions:[]LabelSelectorRequirement{},}: x",
        ),
    ],
)
def test_what_could_not_be_read(metric: Object, text: str) -> None:
    assert str(unreadable(metric, "default", MetricError("x"))) == text


def test_selectors_as_upstream_prints_them() -> None:
    expression = {"key": "k", "operator": "In", "values": ["a", "b"]}
    assert printed(None) == "nil"
    assert printed({"matchExpressions": [expression]}) == (
        "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement"
        "{LabelSelectorRequirement{Key:k,Operator:In,Values:[a b],},},}"
    )


@pytest.mark.parametrize(
    ("replicas", "expected", "reason"),
    [
        (20, 10, "Current number of replicas above Spec.MaxReplicas"),
        (1, 3, "Current number of replicas below Spec.MinReplicas"),
        (0, 0, ""),
    ],
)
def test_out_of_range_no_metric_is_asked(replicas: int, expected: int, reason: str) -> None:
    looked_at = seen(CPU_METRIC, readings=[], replicas=replicas, spec={"minReplicas": 3})
    assert not needs_metrics(looked_at.autoscaler, looked_at.scale, Options())
    decision = plan(looked_at, Options())
    assert (decision.replicas, decision.reason) == (expected, reason)
    if not replicas:
        assert said(decision)["ScalingActive"] == ("False", "ScalingDisabled")


def test_scaling_to_zero_and_back() -> None:
    options = Options(scale_to_zero=True)
    down = seen(QUEUE, readings=[[0]], replicas=1, spec={"minReplicas": 0})
    decision = plan(down, options)
    assert (decision.replicas, decision.rescale) == (0, True)
    conditions = after_rescale(decision, down, options)
    to_zero = next(c for c in conditions if c["type"] == "ScaledToZero")
    assert (to_zero["status"], to_zero["reason"]) == ("True", "ScaledToZero")
    up = seen(
        QUEUE,
        readings=[[60000]],
        replicas=0,
        pods=(),
        spec={"minReplicas": 0},
        status={"conditions": conditions},
    )
    assert needs_metrics(up.autoscaler, up.scale, options)
    assert plan(up, options).replicas == 2
    # Whoever has scaled to zero by hand is left alone, with the gate or without.
    by_hand = seen(QUEUE, readings=[], replicas=0, pods=(), spec={"minReplicas": 0})
    assert plan(by_hand, options).replicas == 0
    assert not needs_metrics(up.autoscaler, up.scale, Options())


@pytest.mark.parametrize(
    ("problem", "reason", "text"),
    [
        (
            ("SelectorRequired", "InvalidSelector", "selector is required"),
            "InvalidSelector",
            "the HPA target's scale is missing a selector",
        ),
        (("AmbiguousSelector", "AmbiguousSelector", "many"), "AmbiguousSelector", "many"),
    ],
)
def test_pods_that_cannot_be_told(problem: tuple[str, str, str], reason: str, text: str) -> None:
    decision = plan(seen(CPU_METRIC, readings=[], selector_problem=problem), Options())
    assert said(decision)["ScalingActive"] == ("False", reason)
    assert message(decision, "ScalingActive") == text
    assert decision.metrics is None and decision.replicas is None


def test_a_behaviours_own_tolerance() -> None:
    own = behavior(up={"tolerance": "500m"}, down={"tolerance": "10m"})
    looked_at = seen(CPU_METRIC, readings=[measured(a=1400)], spec={"behavior": own})
    assert plan(looked_at, Options()).replicas == 1
    assert plan(looked_at, Options(configurable_tolerance=False)).replicas == 2
