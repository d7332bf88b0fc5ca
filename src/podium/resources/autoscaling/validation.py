"""What is wrong with horizontal pod autoscalers, in their stored version."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, objects, parse_quantity, required_name, spec_of
from podium.resources.defaulting import given

METRIC_TYPES = ("Object", "Pods", "Resource", "External", "ContainerResource")
TARGET_TYPES = ("Utilization", "Value", "AverageValue")


def validate_autoscaler(autoscaler: Object) -> Errors:
    """Check a HorizontalPodAutoscaler."""
    spec = spec_of(autoscaler)
    errors: Errors = []
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < 1:
        errors.append(FieldError.invalid("spec.minReplicas", low, "must be greater than or equal to 1"))
    if high == 0:
        errors.append(FieldError.required("spec.maxReplicas", "must be set and greater than 0"))
    elif high < 0:
        errors.append(FieldError.invalid("spec.maxReplicas", high, "must be greater than or equal to 1"))
    if low is not None and high < low:
        detail = "must be greater than or equal to `minReplicas`"
        errors.append(FieldError.invalid("spec.maxReplicas", high, detail))
    target = given(spec, "scaleTargetRef") or {}
    for key in ("kind", "name"):
        path = f"spec.scaleTargetRef.{key}"
        errors += required_name(path, target.get(key), validation.path_segment_errors)
    for index, metric in enumerate(objects(spec.get("metrics"))):
        errors += _metric(metric, f"spec.metrics[{index}]")
    return errors


def _metric(metric: Object, path: str) -> Errors:
    kind = str(metric.get("type") or "")
    errors: Errors = []
    if not kind:
        errors.append(FieldError.required(f"{path}.type", "must specify a metric source type"))
    if kind not in METRIC_TYPES:
        # Upstream finds this out twice.
        errors += [FieldError.not_supported(f"{path}.type", kind, METRIC_TYPES)] * 2
    expected = kind[:1].lower() + kind[1:]
    if kind in METRIC_TYPES and given(metric, expected) is None:
        detail = "must populate information for the given metric source"
        errors.append(FieldError.required(f"{path}.{expected}", detail))
    for other in (name[:1].lower() + name[1:] for name in METRIC_TYPES):
        if other != expected and given(metric, other) is not None:
            detail = "must populate the given metric source only"
            errors.append(FieldError.forbidden(f"{path}.{other}", detail))
    source = given(metric, expected) if kind in METRIC_TYPES else None
    if source is not None:
        errors += _target(given(source, "target") or {}, f"{path}.{expected}.target")
    return errors


def _target(target: Object, path: str) -> Errors:
    errors: Errors = []
    kind = target.get("type") or ""
    if not kind:
        errors.append(FieldError.required(f"{path}.type", "must specify a metric target type"))
    if kind not in TARGET_TYPES:
        detail = "must be either Utilization, Value, or AverageValue"
        errors.append(FieldError.invalid(f"{path}.type", kind, detail))
    for key in ("value", "averageValue"):
        value = target.get(key)
        if value is not None and parse_quantity(value).nanos <= 0:
            errors.append(FieldError.invalid(f"{path}.{key}", str(value), "must be positive"))
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        errors.append(FieldError.invalid(f"{path}.averageUtilization", utilization, "must be greater than 0"))
    return errors
