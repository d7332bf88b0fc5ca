"""HorizontalPodAutoscalers between autoscaling/v1 and v2 (the stored one).

v1 knows one metric, the CPU's utilisation. The rest of a v2 object travels in annotations of the v1 object,
in upstream's forms, so that a v1 client that reads, changes and writes an object loses nothing.
"""

from __future__ import annotations

from typing import Any

import orjson

from podium.machinery.errors import Json, Object

METRICS = "autoscaling.alpha.kubernetes.io/metrics"
STATUSES = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
ANNOTATIONS = (METRICS, STATUSES, CONDITIONS, BEHAVIOR)

_CPU_FIELD = "targetCPUUtilizationPercentage"
_CPU_DEFAULT = 80


def to_v2(obj: Object) -> Object:
    """Return the v1 object as v2."""
    spec = dict(obj.get("spec") or {})
    status = dict(obj.get("status") or {})
    metadata = dict(obj.get("metadata") or {})
    annotations: dict[str, str] = dict(metadata.get("annotations") or {})
    cpu = spec.pop(_CPU_FIELD, None)
    metrics = [metric_to_v2(m) for m in _loaded(annotations.pop(METRICS, ""), list)]
    if cpu is not None:
        metrics.append(_cpu_metric(cpu))
    # What v1 leaves to the controller, v2 says.
    spec["metrics"] = metrics or [_cpu_metric(_CPU_DEFAULT)]
    behavior = behavior_to_v2(annotations.pop(BEHAVIOR, ""))
    if behavior:
        spec["behavior"] = behavior
    current_cpu = status.pop("currentCPUUtilizationPercentage", None)
    current = [status_to_v2(m) for m in _loaded(annotations.pop(STATUSES, ""), list)]
    if current_cpu is not None and not any((m.get("resource") or {}).get("name") == "cpu" for m in current):
        value = {"averageUtilization": current_cpu, "averageValue": "0"}
        current.insert(0, {"type": "Resource", "resource": {"name": "cpu", "current": value}})
    status["currentMetrics"] = current or None
    conditions = _loaded(annotations.pop(CONDITIONS, ""), list)
    if conditions:
        status["conditions"] = conditions
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)
    return assembled(obj, "autoscaling/v2", metadata, annotations, spec, status)


def _cpu_metric(percentage: Json) -> Object:
    target = {"type": "Utilization", "averageUtilization": percentage}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def from_v2(obj: Object) -> Object:
    """Return the v2 object as v1."""
    spec = dict(obj.get("spec") or {})
    status = dict(obj.get("status") or {})
    metadata = dict(obj.get("metadata") or {})
    annotations: dict[str, str] = {
        k: v for k, v in (metadata.get("annotations") or {}).items() if k not in ANNOTATIONS
    }
    others = []
    for metric in spec.pop("metrics", None) or ():
        if _is_cpu_utilization(metric) and _CPU_FIELD not in spec:
            spec[_CPU_FIELD] = metric["resource"]["target"]["averageUtilization"]
        else:
            others.append(metric_from_v2(metric))
    if others:
        annotations[METRICS] = _dumped(others)
    behavior = spec.pop("behavior", None)
    if behavior:
        annotations[BEHAVIOR] = behavior_from_v2(behavior)
    current = status.pop("currentMetrics", None) or []
    for metric in current:
        resource = metric.get("resource") or {}
        if resource.get("name") == "cpu" and "averageUtilization" in (resource.get("current") or {}):
            status["currentCPUUtilizationPercentage"] = resource["current"]["averageUtilization"]
    if current:
        annotations[STATUSES] = _dumped([status_from_v2(m) for m in current])
    conditions = status.pop("conditions", None)
    if conditions:
        annotations[CONDITIONS] = _dumped(conditions)
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    return assembled(obj, "autoscaling/v1", metadata, annotations, spec, status)


def assembled(
    obj: Object, version: str, metadata: Object, annotations: dict[str, str], spec: Object, status: Object
) -> Object:
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    return {**obj, "apiVersion": version, "metadata": metadata, "spec": spec, "status": status}


def _is_cpu_utilization(metric: Object) -> bool:
    resource = metric.get("resource") or {}
    return (
        metric.get("type") == "Resource"
        and resource.get("name") == "cpu"
        and (resource.get("target") or {}).get("averageUtilization") is not None
    )


# A v2 target or current value holds its kind of number in one struct; v1 flattened them into field names that
# differ by the source of the metric.
_TARGETS: dict[str, dict[str, str]] = {
    "Resource": {
        "averageUtilization": "targetAverageUtilization",
        "averageValue": "targetAverageValue",
    },
    "ContainerResource": {
        "averageUtilization": "targetAverageUtilization",
        "averageValue": "targetAverageValue",
    },
    "Pods": {"averageValue": "targetAverageValue"},
    "Object": {"value": "targetValue", "averageValue": "averageValue"},
    "External": {"value": "targetValue", "averageValue": "targetAverageValue"},
}
_CURRENTS: dict[str, dict[str, str]] = {
    "Resource": {
        "averageUtilization": "currentAverageUtilization",
        "averageValue": "currentAverageValue",
    },
    "ContainerResource": {
        "averageUtilization": "currentAverageUtilization",
        "averageValue": "currentAverageValue",
    },
    "Pods": {"averageValue": "currentAverageValue"},
    "Object": {"value": "currentValue", "averageValue": "averageValue"},
    "External": {"value": "currentValue", "averageValue": "currentAverageValue"},
}


def _source_field(kind: str) -> str:
    return kind[:1].lower() + kind[1:]


def metric_from_v2(metric: Object) -> Object:
    return _flattened(metric, "target", _TARGETS)


def status_from_v2(metric: Object) -> Object:
    return _flattened(metric, "current", _CURRENTS)


def _flattened(metric: Object, part: str, table: dict[str, dict[str, str]]) -> Object:
    kind = str(metric.get("type") or "")
    name = _source_field(kind)
    if not name:
        return dict(metric)
    source = dict(metric.get(name) or {})
    values = source.pop(part, None) or {}
    if kind == "Object":
        source["target"] = source.pop("describedObject", {})
    identifier = source.pop("metric", None)
    if identifier is not None:
        source["metricName"] = identifier.get("name", "")
        if identifier.get("selector") is not None:
            source["metricSelector" if kind == "External" else "selector"] = identifier["selector"]
    for own, flat in table.get(kind, {}).items():
        if values.get(own) is not None:
            source[flat] = values[own]
    return {"type": kind, name: source}


def metric_to_v2(metric: Object) -> Object:
    return _nested(metric, "target", _TARGETS)


def status_to_v2(metric: Object) -> Object:
    return _nested(metric, "current", _CURRENTS)


def _nested(metric: Object, part: str, table: dict[str, dict[str, str]]) -> Object:
    kind = str(metric.get("type") or "")
    name = _source_field(kind)
    if not name:
        return dict(metric)
    source = dict(metric.get(name) or {})
    result: Object = {}
    if kind == "Object":
        result["describedObject"] = source.pop("target", {})
    values: Object = {}
    for own, flat in table.get(kind, {}).items():
        if source.get(flat) is not None:
            values[own] = source.pop(flat)
    if part == "target":
        values["type"] = _target_type(values)
    if "metricName" in source:
        identifier: Object = {"name": source.pop("metricName")}
        selector = source.pop("metricSelector" if "metricSelector" in source else "selector", None)
        if selector is not None:
            identifier["selector"] = selector
        result["metric"] = identifier
    return {"type": kind, name: {**source, **result, part: values}}


def _target_type(values: Object) -> str:
    if "averageUtilization" in values:
        return "Utilization"
    return "AverageValue" if "averageValue" in values else "Value"


def behavior_from_v2(behavior: Object) -> str:
    """Return the behavior as the annotation has it: with the names of the fields in upstream's internals."""
    return _dumped(
        {"ScaleUp": _rules(behavior.get("scaleUp")), "ScaleDown": _rules(behavior.get("scaleDown"))}
    )


def behavior_to_v2(text: str) -> Any:
    """Return the behavior in an annotation, an empty one when there is none."""
    return _recased(_loaded(text, dict), str.lower)


def _rules(rules: Object | None) -> Object | None:
    if rules is None:
        return None
    return {
        "StabilizationWindowSeconds": rules.get("stabilizationWindowSeconds"),
        "SelectPolicy": rules.get("selectPolicy"),
        "Policies": [
            {"Type": p.get("type"), "Value": p.get("value"), "PeriodSeconds": p.get("periodSeconds")}
            for p in rules.get("policies") or ()
        ],
        "Tolerance": rules.get("tolerance"),
    }


def _recased(value: Json, case: Any) -> Json:
    """Return the value with the first letter of every key in the other case, without its nulls."""
    if isinstance(value, dict):
        return {
            case(key[:1]) + key[1:]: _recased(item, case) for key, item in value.items() if item is not None
        }
    if isinstance(value, list):
        return [_recased(item, case) for item in value]
    return value


def _loaded(text: str, kind: type) -> Any:
    """Return the annotation's value; one that does not parse counts as absent, as upstream ignores it."""
    try:
        value = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        value = None
    return value if isinstance(value, kind) else kind()


def _dumped(value: Json) -> str:
    return orjson.dumps(value).decode()
