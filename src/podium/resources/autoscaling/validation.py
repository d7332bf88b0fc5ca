"""What is wrong with horizontal pod autoscalers, in their stored version.

Upstream: pkg/apis/autoscaling/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.meta import dict_or_none
from podium.resources.checks import (
    Errors,
    named,
    nonnegative,
    nonnegative_quantity,
    objects,
    parse_quantity,
    required_name,
    spec_of,
)
from podium.resources.core.resource_names import container_name_errors
from podium.resources.defaulting import given

METRIC_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
TARGET_TYPES = ("Utilization", "Value", "AverageValue")
POLICY_TYPES = ("Percent", "Pods")
SELECTIONS = ("Disabled", "Max", "Min")
PERIOD_MAX_S = 1800
STABILIZATION_MAX_S = 3600

_SOURCES = ("object", "external", "pods", "resource", "containerResource")
"""In the order in which upstream looks at them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """How the `apiVersion` of a reference is judged."""

    without_group: bool = False
    any: bool = False


_TARGET, _DESCRIBED = _Rule(), _Rule(without_group=True)
_ANY = _Rule(any=True)


def validate_autoscaler(autoscaler: Object) -> Errors:
    """Check a new HorizontalPodAutoscaler."""
    return _autoscaler(autoscaler, _target_rule(autoscaler), _DESCRIBED, replicas_min=1)


def validate_autoscaler_update(new: Object, old: Object) -> Errors:
    """Check a changed HorizontalPodAutoscaler: what an older release let in may stay."""
    rule, described = _target_rule(new), _DESCRIBED
    target, before = given(spec_of(new), "scaleTargetRef") or {}, given(spec_of(old), "scaleTargetRef") or {}
    if all(target.get(key) == before.get(key) for key in ("apiVersion", "kind")):
        rule = _ANY
    for metric in objects(spec_of(old).get("metrics")):
        reference = given(given(metric, "object") or {}, "describedObject") or {}
        if metric.get("type") == "Object" and _version_fault(reference, _DESCRIBED):
            described = _ANY
    replicas_min = 0 if spec_of(old).get("minReplicas") == 0 else 1
    return _autoscaler(new, rule, described, replicas_min=replicas_min)


def validate_autoscaler_status(new: Object, _old: Object) -> Errors:
    """Check what the controller reports."""
    status = dict_or_none(new.get("status")) or {}
    return nonnegative(status, "status", "currentReplicas", "desiredReplicas")


def _target_rule(autoscaler: Object) -> _Rule:
    target = given(spec_of(autoscaler), "scaleTargetRef") or {}
    return _Rule(without_group=target.get("kind") == "ReplicationController")


def _autoscaler(autoscaler: Object, target: _Rule, described: _Rule, *, replicas_min: int) -> Errors:
    spec = spec_of(autoscaler)
    errors: Errors = []
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < replicas_min:
        detail = f"must be greater than or equal to {replicas_min}"
        errors.append(FieldError.invalid("spec.minReplicas", low, detail))
    if high == 0:
        errors.append(FieldError.required("spec.maxReplicas", "must be set and greater than 0"))
    elif high < 0:
        errors.append(FieldError.invalid("spec.maxReplicas", high, "must be greater than or equal to 1"))
    if low is not None and high < low:
        detail = "must be greater than or equal to `minReplicas`"
        errors.append(FieldError.invalid("spec.maxReplicas", high, detail))
    errors += _reference(given(spec, "scaleTargetRef") or {}, "spec.scaleTargetRef", target)
    metrics = objects(spec.get("metrics"))
    for index, metric in enumerate(metrics):
        errors += _metric(metric, f"spec.metrics[{index}]", described)
    if low == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(FieldError.forbidden("spec.metrics", detail))
    behavior = given(spec, "behavior") or {}
    for key in ("scaleUp", "scaleDown"):
        rules = given(behavior, key)
        if rules is not None:
            errors += _rules(rules, f"spec.behavior.{key}")
    return errors


def _reference(reference: Object, path: str, rule: _Rule) -> Errors:
    errors: Errors = []
    for key in ("kind", "name"):
        errors += required_name(f"{path}.{key}", reference.get(key), validation.path_segment_errors)
    fault = _version_fault(reference, rule)
    if fault:
        errors.append(FieldError.invalid(f"{path}.apiVersion", reference.get("apiVersion") or "", fault))
    return errors


def _version_fault(reference: Object, rule: _Rule) -> str:
    version = str(reference.get("apiVersion") or "")
    if rule.any:
        return ""
    if version.count("/") > 1:
        return f"unexpected GroupVersion string: {version}"
    group = version.partition("/")[0] if "/" in version else ""
    return "" if group or rule.without_group else "apiVersion must specify API group"


# --- how fast it scales ---


def _rules(rules: Object, path: str) -> Errors:
    errors: Errors = []
    window = rules.get("stabilizationWindowSeconds")
    here = f"{path}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        errors.append(FieldError.invalid(here, window, "must be greater than or equal to zero"))
    if window is not None and window > STABILIZATION_MAX_S:
        errors.append(
            FieldError.invalid(here, window, f"must be less than or equal to {STABILIZATION_MAX_S}")
        )
    selection = rules.get("selectPolicy")
    if selection is not None and selection not in SELECTIONS:
        errors.append(FieldError.not_supported(f"{path}.selectPolicy", selection, SELECTIONS))
    policies = objects(rules.get("policies"))
    if not policies:
        errors.append(FieldError.required(f"{path}.policies", "must specify at least one Policy"))
    for index, policy in enumerate(policies):
        errors += _policy(policy, f"{path}.policies[{index}]")
    if rules.get("tolerance") is not None:
        errors += nonnegative_quantity(f"{path}.tolerance", rules["tolerance"])
    return errors


def _policy(policy: Object, path: str) -> Errors:
    errors: Errors = []
    kind, period_s = str(policy.get("type") or ""), policy.get("periodSeconds") or 0
    if kind not in POLICY_TYPES:
        errors.append(FieldError.not_supported(f"{path}.type", kind, POLICY_TYPES))
    for key in ("value", "periodSeconds"):
        number = policy.get(key) or 0
        if number <= 0:
            errors.append(FieldError.invalid(f"{path}.{key}", number, "must be greater than zero"))
    if period_s > PERIOD_MAX_S:
        detail = f"must be less than or equal to {PERIOD_MAX_S}"
        errors.append(FieldError.invalid(f"{path}.periodSeconds", period_s, detail))
    return errors


# --- what it scales by ---


def _metric(metric: Object, path: str, described: _Rule) -> Errors:
    kind = str(metric.get("type") or "")
    errors: Errors = []
    if not kind:
        errors.append(FieldError.required(f"{path}.type", "must specify a metric source type"))
    if kind not in METRIC_TYPES:
        errors.append(FieldError.not_supported(f"{path}.type", kind, METRIC_TYPES))
    present = [name for name in _SOURCES if given(metric, name) is not None]
    if present:
        # Only the first is looked at; further ones are refused anyway.
        first = present[0]
        errors += _source(first, given(metric, first) or {}, f"{path}.{first}", described)
    expected = kind[:1].lower() + kind[1:]
    if kind not in METRIC_TYPES:
        # Upstream finds this out twice.
        errors.append(FieldError.not_supported(f"{path}.type", kind, METRIC_TYPES))
    elif expected not in present:
        detail = "must populate information for the given metric source"
        errors.append(FieldError.required(f"{path}.{expected}", detail))
    if len(present) != 1:
        errors += [
            FieldError.forbidden(f"{path}.{name}", "must populate the given metric source only")
            for name in present
            if name != expected
        ]
    return errors


def _source(name: str, source: Object, path: str, described: _Rule) -> Errors:
    if name == "object":
        return _reference(given(source, "describedObject") or {}, f"{path}.describedObject", described) + (
            _measured(source, path, _of_object)
        )
    if name == "external":
        return _measured(source, path, _of_external)
    if name == "pods":
        return _measured(source, path, _of_pods)
    return _resource(source, path, in_container=name == "containerResource")


def _measured(source: Object, path: str, judge: Callable[[Object, str], Errors]) -> Errors:
    """Check a metric with a name of its own and its target."""
    metric, target = given(source, "metric") or {}, given(source, "target") or {}
    name = metric.get("name")
    here = f"{path}.metric.name"
    if not name:
        errors = [FieldError.required(here, "must specify a metric name")]
    else:
        errors = named(here, name, validation.path_segment_errors)
    return errors + _target(target, f"{path}.target") + judge(target, f"{path}.target")


def _of_object(target: Object, path: str) -> Errors:
    if target.get("value") is None and target.get("averageValue") is None:
        return [FieldError.required(f"{path}.averageValue", "must set either a target value or averageValue")]
    return []


def _of_external(target: Object, path: str) -> Errors:
    value, average = target.get("value"), target.get("averageValue")
    if value is None and average is None:
        detail = "must set either a target value for metric or a per-pod target"
        return [FieldError.required(f"{path}.averageValue", detail)]
    if value is not None and average is not None:
        detail = "may not set both a target value for metric and a per-pod target"
        return [FieldError.forbidden(f"{path}.value", detail)]
    return []


def _of_pods(target: Object, path: str) -> Errors:
    if target.get("averageValue") is None:
        return [FieldError.required(f"{path}.averageValue", "must specify a positive target averageValue")]
    return []


def _resource(source: Object, path: str, *, in_container: bool) -> Errors:
    name, container = source.get("name"), source.get("container")
    errors: Errors = []
    if not name:
        errors.append(FieldError.required(f"{path}.name", "must specify a resource name"))
    elif in_container:
        errors += container_name_errors(f"{path}.name", name)
    if in_container and not container:
        errors.append(FieldError.required(f"{path}.container", "must specify a container"))
    elif in_container:
        errors += named(f"{path}.container", str(container), validation.dns1123_label_errors)
    target = given(source, "target") or {}
    errors += _target(target, f"{path}.target")
    utilization, value = target.get("averageUtilization"), target.get("averageValue")
    if utilization is None and value is None:
        detail = "must set either a target raw value or a target utilization"
        errors.append(FieldError.required(f"{path}.target.averageUtilization", detail))
    if utilization is not None and value is not None:
        detail = "may not set both a target raw value and a target utilization"
        errors.append(FieldError.forbidden(f"{path}.target.averageValue", detail))
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
        value: Json = target.get(key)
        if value is not None and parse_quantity(value).nanos <= 0:
            errors.append(FieldError.invalid(f"{path}.{key}", str(value), "must be positive"))
    utilization = target.get("averageUtilization")
    if utilization is not None and utilization < 1:
        errors.append(FieldError.invalid(f"{path}.averageUtilization", utilization, "must be greater than 0"))
    return errors
