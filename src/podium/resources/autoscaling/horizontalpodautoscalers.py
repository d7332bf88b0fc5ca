"""HorizontalPodAutoscaler, autoscaling/v2."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.autoscaling import columns
from podium.resources.defaulting import absent, child, drop_zero, given

CPU_UTILIZATION = 80


def _defaults(autoscaler: Object) -> None:
    spec = child(autoscaler, "spec")
    child(spec, "scaleTargetRef")
    absent(spec, "minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": CPU_UTILIZATION}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = given(spec, "behavior")
    if behavior is not None:
        up = child(behavior, "scaleUp")
        absent(up, "stabilizationWindowSeconds", 0)
        _default_rules(up, {"type": "Pods", "value": 4, "periodSeconds": 15})
        _default_rules(child(behavior, "scaleDown"))
    status = child(autoscaler, "status")
    absent(status, "desiredReplicas", 0)
    status.setdefault("currentMetrics", None)
    drop_zero(status, "currentReplicas")


def _default_rules(rules: Object, *first: Object) -> None:
    absent(rules, "selectPolicy", "Max")
    absent(rules, "policies", [*first, {"type": "Percent", "value": 100, "periodSeconds": 15}])


def _prepare_create(autoscaler: Object) -> None:
    autoscaler["status"] = {"desiredReplicas": 0, "currentMetrics": None}


HORIZONTALPODAUTOSCALERS = Resource(
    group="autoscaling",
    version="v2",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    namespaced=True,
    short_names=("hpa",),
    categories=("all",),
    schema="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    gated=(
        Gated(
            gate="HPAConfigurableTolerance",
            paths=("spec.behavior.scaleUp.tolerance", "spec.behavior.scaleDown.tolerance"),
        ),
    ),
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=columns.COLUMNS,
    validate=deferred.check("autoscaling.validation", "validate_autoscaler"),
    validate_update=deferred.update_check("autoscaling.validation", "validate_autoscaler_update"),
    validate_status_update=deferred.update_check("autoscaling.validation", "validate_autoscaler_status"),
)
