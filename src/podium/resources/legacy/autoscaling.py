"""HorizontalPodAutoscaler, autoscaling/v2beta1 and v2beta2.

v2beta2 is v2 under another name. v2beta1 has a metric's target in fields of the metric, named after what it
is, and the behavior in an annotation.
"""

from __future__ import annotations

from podium.machinery.derived import Change, Package, ref
from podium.machinery.errors import Object
from podium.resources.autoscaling import conversion
from podium.resources.autoscaling.horizontalpodautoscalers import CPU_UTILIZATION, HORIZONTALPODAUTOSCALERS
from podium.resources.defaulting import child, given, items
from podium.resources.legacy.older import annotate, annotation, copied, older

_QUANTITY = ref("io.k8s.apimachinery.pkg.api.resource.Quantity")
_SELECTOR = ref("io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector")
_UTILIZATION: Object = {"type": "integer", "format": "int32"}
_NAME: Object = {"type": "string"}
_V2BETA1 = "io.k8s.api.autoscaling.v2beta1"
_TARGET = ref(f"{_V2BETA1}.CrossVersionObjectReference")


def _flat(*without: str, required: tuple[str, ...], **fields: Object) -> Change:
    """Return a metric whose parts `without` are these fields; a required quantity is written even if 0."""
    quantities = [f"{name}." for name in required if fields.get(name) is _QUANTITY]
    return Change(without=without, fields=fields, required=required, unusual=" ".join(quantities))


def _resource(part: str, prefix: str, *required: str) -> Change:
    fields = {f"{prefix}AverageUtilization": _UTILIZATION, f"{prefix}AverageValue": _QUANTITY}
    return _flat(part, required=required, **fields)


V2BETA1_PACKAGE = Package(
    name=_V2BETA1,
    group="autoscaling",
    version="v2beta1",
    bases=("io.k8s.api.autoscaling.v2",),
    changes={
        "HorizontalPodAutoscalerSpec": Change(without=("behavior",)),
        "ResourceMetricSource": _resource("target", "target"),
        "ResourceMetricStatus": _resource("current", "current", "currentAverageValue"),
        "ContainerResourceMetricSource": _resource("target", "target"),
        "ContainerResourceMetricStatus": _resource("current", "current", "currentAverageValue"),
        "PodsMetricSource": _flat(
            "metric",
            "target",
            required=("metricName", "targetAverageValue"),
            metricName=_NAME,
            targetAverageValue=_QUANTITY,
            selector=_SELECTOR,
        ),
        "PodsMetricStatus": _flat(
            "metric",
            "current",
            required=("metricName", "currentAverageValue"),
            metricName=_NAME,
            currentAverageValue=_QUANTITY,
            selector=_SELECTOR,
        ),
        "ObjectMetricSource": _flat(
            "describedObject",
            "metric",
            required=("target", "metricName", "targetValue"),
            target=_TARGET,
            metricName=_NAME,
            targetValue=_QUANTITY,
            selector=_SELECTOR,
            averageValue=_QUANTITY,
        ),
        "ObjectMetricStatus": _flat(
            "describedObject",
            "metric",
            "current",
            required=("target", "metricName", "currentValue"),
            target=_TARGET,
            metricName=_NAME,
            currentValue=_QUANTITY,
            selector=_SELECTOR,
            averageValue=_QUANTITY,
        ),
        "ExternalMetricSource": _flat(
            "metric",
            "target",
            required=("metricName",),
            metricName=_NAME,
            metricSelector=_SELECTOR,
            targetValue=_QUANTITY,
            targetAverageValue=_QUANTITY,
        ),
        "ExternalMetricStatus": _flat(
            "metric",
            "current",
            required=("metricName", "currentValue"),
            metricName=_NAME,
            metricSelector=_SELECTOR,
            currentValue=_QUANTITY,
            currentAverageValue=_QUANTITY,
        ),
    },
)
V2BETA2_PACKAGE = Package(
    name="io.k8s.api.autoscaling.v2beta2",
    group="autoscaling",
    version="v2beta2",
    bases=("io.k8s.api.autoscaling.v2",),
)

_ZERO = {
    ("metrics", "Object"): "targetValue",
    ("metrics", "Pods"): "targetAverageValue",
    ("currentMetrics", "Object"): "currentValue",
    ("currentMetrics", "Pods"): "currentAverageValue",
    ("currentMetrics", "Resource"): "currentAverageValue",
    ("currentMetrics", "ContainerResource"): "currentAverageValue",
    ("currentMetrics", "External"): "currentValue",
}
"""Amounts that v2beta1 writes even when there are none."""


def to_v2(autoscaler: Object) -> Object:
    """Return the autoscaler with nested targets, and its behavior as a field."""
    result = copied(autoscaler, "spec", "status")
    result["metadata"] = dict(result.get("metadata") or {})
    spec, status = child(result, "spec"), child(result, "status")
    if spec.get("metrics"):
        spec["metrics"] = [conversion.metric_to_v2(metric) for metric in items(spec, "metrics")]
    if status.get("currentMetrics"):
        status["currentMetrics"] = [conversion.status_to_v2(one) for one in items(status, "currentMetrics")]
    behavior = conversion.behavior_to_v2(annotation(result, conversion.BEHAVIOR) or "")
    for key in conversion.ANNOTATIONS:
        annotate(result, key, None)
    if behavior:
        spec["behavior"] = behavior
    return result


def from_v2(autoscaler: Object) -> Object:
    """Return the autoscaler with flat targets, and its behavior as an annotation."""
    result = copied(autoscaler, "spec", "status")
    result["metadata"] = dict(result.get("metadata") or {})
    spec, status = child(result, "spec"), child(result, "status")
    if spec.get("metrics"):
        spec["metrics"] = [conversion.metric_from_v2(metric) for metric in items(spec, "metrics")]
    if status.get("currentMetrics"):
        status["currentMetrics"] = [conversion.status_from_v2(one) for one in items(status, "currentMetrics")]
    for holder, name in ((spec, "metrics"), (status, "currentMetrics")):
        for metric in items(holder, name):
            _write_zero(metric, name)
    for key in conversion.ANNOTATIONS:
        annotate(result, key, None)
    behavior = spec.pop("behavior", None)
    if behavior:
        annotate(result, conversion.BEHAVIOR, conversion.behavior_from_v2(behavior))
    return result


def _write_zero(metric: Object, name: str) -> None:
    kind = str(metric.get("type") or "")
    source = given(metric, kind[:1].lower() + kind[1:])
    amount = _ZERO.get((name, kind))
    if source is not None and amount is not None:
        source.setdefault(amount, "0")


def _v2beta1_defaults(autoscaler: Object) -> None:
    spec = child(autoscaler, "spec")
    if not spec.get("metrics"):
        resource = {"name": "cpu", "targetAverageUtilization": CPU_UTILIZATION}
        spec["metrics"] = [{"type": "Resource", "resource": resource}]
    HORIZONTALPODAUTOSCALERS.defaults(autoscaler)


RESOURCES = (
    older(HORIZONTALPODAUTOSCALERS, V2BETA2_PACKAGE, deprecated=(1, 23), removed=(1, 26)),
    older(
        HORIZONTALPODAUTOSCALERS,
        V2BETA1_PACKAGE,
        deprecated=(1, 22),
        removed=(1, 25),
        to_storage=to_v2,
        from_storage=from_v2,
        defaults=_v2beta1_defaults,
    ),
)
PACKAGES = (V2BETA2_PACKAGE, V2BETA1_PACKAGE)
