"""The columns of horizontal pod autoscalers, which both versions show."""

from __future__ import annotations

from podium.machinery.errors import Json, Object
from podium.resources.defaulting import given, items
from podium.resources.printing import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    column,
    count,
    quantity_text,
    spec,
    status,
)

METRICS_SHOWN_MAX = 2


def _reference(autoscaler: Object) -> str:
    target = given(spec(autoscaler), "scaleTargetRef") or {}
    return f"{target.get('kind') or ''}/{target.get('name') or ''}"


def _targets(autoscaler: Object) -> str:
    metrics = list(items(spec(autoscaler), "metrics"))
    if not metrics:
        return NONE
    currents = list(items(status(autoscaler), "currentMetrics"))
    currents += [{}] * (len(metrics) - len(currents))
    texts = [_metric(metric, current) for metric, current in zip(metrics, currents, strict=False)]
    text = ", ".join(texts[:METRICS_SHOWN_MAX])
    if len(texts) > METRICS_SHOWN_MAX:
        return f"{text} + {len(texts) - METRICS_SHOWN_MAX} more..."
    return text


def _metric(metric: Object, status_of_metric: Object) -> str:
    kind = str(metric.get("type") or "")
    source_name = kind[:1].lower() + kind[1:]
    source = given(metric, source_name)
    if source is None:
        return "<unknown type>"
    target = given(source, "target") or {}
    current = given(given(status_of_metric, source_name) or {}, "current") or {}
    if kind in ("Resource", "ContainerResource"):
        if target.get("averageValue") is not None:
            values = f"{_value(current, 'averageValue')}/{quantity_text(target['averageValue'])}"
        else:
            values = f"{_percent(current, UNKNOWN)}/{_percent(target, '<auto>')}"
        return f"{source.get('name')}: {values}"
    if kind == "Pods":
        return f"{_value(current, 'averageValue')}/{quantity_text(target.get('averageValue'))}"
    if target.get("averageValue") is not None:
        return f"{_value(current, 'averageValue')}/{quantity_text(target['averageValue'])} (avg)"
    return f"{_value(current, 'value')}/{quantity_text(target.get('value'))}"


def _value(current: Object, name: str) -> str:
    value = current.get(name)
    return UNKNOWN if value is None else quantity_text(value)


def _percent(values: Object, missing: str) -> str:
    value = values.get("averageUtilization")
    return missing if value is None else f"{value}%"


def _min_pods(autoscaler: Object) -> Json:
    replicas = spec(autoscaler).get("minReplicas")
    return UNSET if replicas is None else str(replicas)


COLUMNS = (
    NAME,
    column("Reference", _reference),
    column("Targets", _targets),
    column("MinPods", _min_pods),
    column("MaxPods", lambda obj: count(spec(obj).get("maxReplicas"))),
    column("Replicas", lambda obj: count(status(obj).get("currentReplicas"))),
    AGE,
)
