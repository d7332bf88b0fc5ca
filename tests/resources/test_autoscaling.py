"""Horizontal pod autoscalers: what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from podium.resources.autoscaling.horizontalpodautoscalers import HORIZONTALPODAUTOSCALERS
from tests.resources.refusals import changed, faults

UTILIZATION = {"type": "Utilization", "averageUtilization": 50}
VALUE = {"type": "Value", "value": "1"}
AVERAGE = {"type": "AverageValue", "averageValue": "1"}


def autoscaler(*metrics: Any, **spec: Any) -> Any:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    return {
        "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": target, "metrics": list(metrics), **spec},
    }


def resource(**source: Any) -> Any:
    return {"type": "Resource", "resource": {"name": "cpu", "target": UTILIZATION, **source}}


def named(kind: str, target: Any, **more: Any) -> Any:
    return {"type": kind, kind.lower(): {"metric": {"name": "m"}, "target": target, **more}}


M = "spec.metrics[0]"


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (autoscaler(resource()), []),
        (autoscaler(named("Pods", AVERAGE), named("External", VALUE)), []),
        (
            autoscaler(minReplicas=0, maxReplicas=0),
            [
                "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
                "spec.maxReplicas: Required value: must be set and greater than 0",
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support "
                "scaling to zero replicas",
            ],
        ),
        (
            autoscaler(resource(), minReplicas=5),
            ["spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"],
        ),
        (
            autoscaler(scaleTargetRef={"apiVersion": "v1", "kind": "a/b", "name": ""}),
            [
                "spec.scaleTargetRef.kind: Invalid value: \"a/b\": may not contain '/'",
                "spec.scaleTargetRef.name: Required value",
                'spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group',
            ],
        ),
        (
            autoscaler(scaleTargetRef={"apiVersion": "a/b/c", "kind": "K", "name": "n"}),
            ['spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'],
        ),
        (autoscaler(scaleTargetRef={"apiVersion": "v1", "kind": "ReplicationController", "name": "n"}), []),
        (
            autoscaler({"type": "Sun"}),
            [
                f'{M}.type: Unsupported value: "Sun": supported values: "ContainerResource", "External", '
                '"Object", "Pods", "Resource"'
            ]
            * 2,
        ),
        (
            autoscaler({"type": "Pods", "resource": resource()["resource"]}),
            [f"{M}.pods: Required value: must populate information for the given metric source"],
        ),
        (
            autoscaler({**resource(), "pods": {"metric": {"name": "m"}, "target": AVERAGE}}),
            [f"{M}.pods: Forbidden: must populate the given metric source only"],
        ),
        (
            autoscaler(resource(name="", target={"type": "Sun"})),
            [
                f"{M}.resource.name: Required value: must specify a resource name",
                f'{M}.resource.target.type: Invalid value: "Sun": must be either Utilization, Value, or '
                "AverageValue",
                f"{M}.resource.target.averageUtilization: Required value: must set either a target raw value "
                "or a target utilization",
            ],
        ),
        (
            autoscaler(resource(target={**UTILIZATION, "averageValue": "-1"})),
            [
                f'{M}.resource.target.averageValue: Invalid value: "-1": must be positive',
                f"{M}.resource.target.averageValue: Forbidden: may not set both a target raw value and a "
                "target utilization",
            ],
        ),
        (
            autoscaler(
                {
                    "type": "ContainerResource",
                    "containerResource": {"name": "bogus", "container": "C_", "target": UTILIZATION},
                }
            ),
            [
                f'{M}.containerResource.name: Invalid value: "bogus": must be a standard resource type or '
                "fully qualified",
                f'{M}.containerResource.name: Invalid value: "bogus": must be a standard resource for '
                "containers",
                f"{M}.containerResource.container: Invalid value",
            ],
        ),
        (
            autoscaler(named("External", {**VALUE, "averageValue": "1"})),
            [
                f"{M}.external.target.value: Forbidden: may not set both a target value for metric and a "
                "per-pod target"
            ],
        ),
        (
            autoscaler(named("Pods", VALUE, metric={"name": "a/b"})),
            [
                f"{M}.pods.metric.name: Invalid value: \"a/b\": may not contain '/'",
                f"{M}.pods.target.averageValue: Required value: must specify a positive target averageValue",
            ],
        ),
        (
            autoscaler(named("Object", {"type": "Value"}, describedObject={"kind": "K", "name": "n"})),
            [
                f"{M}.object.target.averageValue: Required value: must set either a target value or "
                "averageValue"
            ],
        ),
        (
            autoscaler(
                resource(),
                behavior={
                    "scaleUp": {
                        "stabilizationWindowSeconds": 3601,
                        "selectPolicy": "X",
                        "tolerance": "-1",
                        "policies": [{"type": "Y", "value": 0, "periodSeconds": 1801}],
                    },
                    "scaleDown": {"policies": [], "stabilizationWindowSeconds": -1},
                },
            ),
            [
                "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601: must be less than or "
                "equal to 3600",
                'spec.behavior.scaleUp.selectPolicy: Unsupported value: "X": supported values: "Disabled", '
                '"Max", "Min"',
                'spec.behavior.scaleUp.policies[0].type: Unsupported value: "Y": supported values: '
                '"Percent", "Pods"',
                "spec.behavior.scaleUp.policies[0].value: Invalid value: 0: must be greater than zero",
                "spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801: must be less than or "
                "equal to 1800",
                'spec.behavior.scaleUp.tolerance: Invalid value: "-1": must be greater than or equal to 0',
                "spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: -1: must be greater than "
                "or equal to zero",
                "spec.behavior.scaleDown.policies: Required value: must specify at least one Policy",
            ],
        ),
    ],
)
def test_refusals(obj: Any, expected: list[str]) -> None:
    found = faults(HORIZONTALPODAUTOSCALERS, obj)
    assert len(found) == len(expected), found
    assert [fault[: len(start)] for fault, start in zip(found, expected, strict=True)] == expected


def test_what_an_older_release_let_in_may_stay() -> None:
    odd = autoscaler(resource(), scaleTargetRef={"apiVersion": "v1", "kind": "K", "name": "n"})
    assert faults(HORIZONTALPODAUTOSCALERS, odd, odd) == []
    moved = changed(odd, {"spec": {"scaleTargetRef": {"kind": "L"}}})
    assert len(faults(HORIZONTALPODAUTOSCALERS, moved, odd)) == 1
    zero = autoscaler(named("External", VALUE), minReplicas=0)
    assert faults(HORIZONTALPODAUTOSCALERS, zero, zero) == []


def test_the_status() -> None:
    new = {**autoscaler(), "status": {"currentReplicas": -1, "desiredReplicas": 2}}
    assert faults(HORIZONTALPODAUTOSCALERS, new, autoscaler(), subresource="status") == [
        "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0"
    ]
