"""Two versions of one kind: what each says of the same stored object."""

from __future__ import annotations

import pytest

from podium.machinery.errors import Object
from podium.machinery.meta import deep_copy
from podium.resources.autoscaling.conversion import METRICS, from_v2, to_v2
from podium.resources.autoscaling.horizontalpodautoscalers import HORIZONTALPODAUTOSCALERS
from podium.resources.autoscaling.horizontalpodautoscalers_v1 import HORIZONTALPODAUTOSCALERS_V1
from podium.resources.core.events import EVENTS as CORE_EVENTS
from podium.resources.events.events import EVENTS
from tests.resources.recorded import scenarios, step_of


def _recorded(scenario: str, api_version: str) -> Object:
    for name, steps in scenarios():
        if name == scenario:
            for raw in steps:
                step = step_of(name, raw)
                answer = step.answer if step is not None else None
                if isinstance(answer, dict) and answer.get("apiVersion") == api_version:
                    return answer
    raise AssertionError(f"{scenario} has no object of {api_version}")


def test_an_autoscaler_in_v1_is_what_upstream_says() -> None:
    scenario = "kinds-apps-batch/horizontal-pod-autoscaler-v2"
    assert from_v2(_recorded(scenario, "autoscaling/v2")) == _recorded(scenario, "autoscaling/v1")


METRIC_SPECS: list[Object] = [
    {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
    },
    {
        "type": "Resource",
        "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}},
    },
    {
        "type": "Pods",
        "pods": {
            "metric": {"name": "rps", "selector": {"matchLabels": {"a": "b"}}},
            "target": {"type": "AverageValue", "averageValue": "10"},
        },
    },
    {
        "type": "Object",
        "object": {
            "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "s"},
            "metric": {"name": "hits"},
            "target": {"type": "Value", "value": "5"},
        },
    },
    {
        "type": "External",
        "external": {
            "metric": {"name": "queue", "selector": {"matchLabels": {"q": "x"}}},
            "target": {"type": "AverageValue", "averageValue": "30"},
        },
    },
    {
        "type": "ContainerResource",
        "containerResource": {
            "name": "cpu",
            "container": "c",
            "target": {"type": "Utilization", "averageUtilization": 70},
        },
    },
]


@pytest.mark.parametrize("metric", METRIC_SPECS, ids=lambda metric: metric["type"])
def test_nothing_is_lost_through_v1(metric: Object) -> None:
    autoscaler: Object = {
        "metadata": {"name": "h", "annotations": {"mine": "kept"}},
        "spec": {
            "maxReplicas": 5,
            "metrics": [metric],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 10}},
        },
    }
    HORIZONTALPODAUTOSCALERS.defaults(autoscaler)
    before = deep_copy(autoscaler)
    through = from_v2(autoscaler)
    assert through["apiVersion"] == "autoscaling/v1"
    assert "metrics" not in through["spec"]
    back = to_v2(through)
    assert back["spec"] == before["spec"]
    assert back["metadata"] == before["metadata"]
    assert autoscaler == before, "conversion reads only"


def test_a_v1_target_becomes_a_metric() -> None:
    autoscaler: Object = {"metadata": {"name": "h"}, "spec": {"targetCPUUtilizationPercentage": 50}}
    HORIZONTALPODAUTOSCALERS_V1.defaults(autoscaler)
    assert to_v2(autoscaler)["spec"]["metrics"] == METRIC_SPECS[:1]


def test_an_annotation_that_cannot_be_read_is_no_metric() -> None:
    """And without any, the CPU is what counts."""
    autoscaler: Object = {"metadata": {"name": "h", "annotations": {METRICS: "{"}}, "spec": {}}
    target = {"type": "Utilization", "averageUtilization": 80}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    assert to_v2(autoscaler)["spec"]["metrics"] == [cpu]


@pytest.mark.parametrize("scenario", ["kinds-cluster/event-new", "kinds-core/event-core"])
def test_events_say_the_same_in_both_versions(scenario: str) -> None:
    core, new = _recorded(scenario, "v1"), _recorded(scenario, "events.k8s.io/v1")
    assert EVENTS.from_storage(core) == new
    converted = EVENTS.to_storage(new)
    CORE_EVENTS.defaults(converted)
    assert converted == core
