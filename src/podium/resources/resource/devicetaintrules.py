"""DeviceTaintRule, resource.k8s.io/v1alpha3 and v1beta2."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.table import since
from podium.resources import deferred
from podium.resources.defaulting import child, given
from podium.resources.printing import AGE, NAME, column, spec, timed
from podium.resources.resource.defaults import stamp_taint
from podium.resources.twins import deprecated, twin


def _defaults(rule: Object) -> None:
    child(child(rule, "spec"), "taint")
    child(rule, "status")


def _prepare_create(rule: Object) -> None:
    rule["status"] = {}


def _taint(rule: Object) -> Object:
    return given(spec(rule), "taint") or {}


def _stamp(new: Object, old: Object | None, now: str) -> None:
    """A taint with another effect counts from now, unless its owner says from when."""
    taint, before = _taint(new), _taint(old or {})
    if before and taint.get("effect") != before.get("effect") and _time(taint) == _time(before):
        taint["timeAdded"] = now
    stamp_taint(taint, now)


def _time(taint: Object) -> str:
    return str(taint.get("timeAdded") or "")


DEVICETAINTRULES = Resource(
    group="resource.k8s.io",
    version="v1alpha3",
    kind="DeviceTaintRule",
    plural="devicetaintrules",
    namespaced=False,
    schema="io.k8s.api.resource.v1alpha3.DeviceTaintRule",
    status=True,
    generation=True,
    defaults=_defaults,
    stamp=_stamp,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Key", lambda obj: _taint(obj).get("key") or ""),
        column("Value", lambda obj: _taint(obj).get("value") or ""),
        column("Effect", lambda obj: _taint(obj).get("effect") or ""),
        timed("TimeAdded", lambda obj, now: since(_time(_taint(obj)), now) if _time(_taint(obj)) else ""),
        AGE,
    ),
    delete_returns_object=True,
    validate=deferred.check("resource.rule_validation", "validate_rule"),
    validate_update=deferred.update_check("resource.rule_validation", "validate_rule_update"),
    validate_status_update=deferred.update_check("resource.rule_validation", "validate_rule_status"),
    deprecation=deprecated("resource.k8s.io/v1alpha3", "DeviceTaintRule", "1.36", "1.39"),
)

DEVICETAINTRULES_V1BETA2 = twin(DEVICETAINTRULES, "v1beta2", deprecation="")
