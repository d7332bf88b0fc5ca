"""What is wrong with events, by the lenient rules of core/v1."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, metadata_of, named, unchanged
from podium.resources.defaulting import given

_MISMATCH = "does not match event.namespace"


def validate_event(event: Object) -> Errors:
    """Check an Event: events with an eventTime must say who reports what."""
    path = "involvedObject.namespace"
    namespace = metadata_of(event).get("namespace") or ""
    involved = str((given(event, "involvedObject") or {}).get("namespace") or "")
    if not event.get("eventTime"):
        if involved != namespace and (involved or namespace not in ("", "default")):
            return [FieldError.invalid(path, involved, _MISMATCH)]
        return []
    errors: Errors = []
    if not involved and namespace not in ("default", "kube-system"):
        errors.append(FieldError.invalid(path, involved, _MISMATCH))
    errors += _reporter(event, "reportingComponent")
    for key, length_max in (("reportingInstance", 128), ("action", 128), ("reason", 128)):
        value = str(event.get(key) or "")
        if not value:
            errors.append(FieldError.required(key))
        if len(value.encode()) > length_max:
            errors.append(FieldError.invalid(key, "", f"can have at most {length_max} characters"))
    if len(str(event.get("message") or "").encode()) > 1024:
        errors.append(FieldError.invalid("message", "", "can have at most 1024 characters"))
    return errors


def _reporter(event: Object, field: str) -> Errors:
    """Check who reports; `field`: what the version of the request calls that."""
    component = str(event.get("reportingComponent") or "")
    errors: Errors = [] if component else [FieldError.required(field)]
    return errors + named(field, component, validation.qualified_name_errors)


def validate_new_api(event: Object) -> Errors:
    """Check what events.k8s.io/v1 asks of new events beyond that."""
    errors = _reporter(event, "reportingController") if event.get("eventTime") else []
    errors += _series(event)
    if not event.get("eventTime"):
        errors.append(FieldError.required("eventTime"))
    kind = event.get("type") or ""
    if kind not in ("Normal", "Warning"):
        errors.append(FieldError.invalid("type", "", f"has invalid value: {kind}"))
    for key in ("firstTimestamp", "lastTimestamp", "count"):
        if event.get(key):
            errors.append(FieldError.invalid(key, "", "needs to be unset"))
    if any((given(event, "source") or {}).values()):
        errors.append(FieldError.invalid("source", "", "needs to be unset"))
    return errors


def _series(event: Object) -> Errors:
    series = given(event, "series")
    if series is None:
        return []
    errors: Errors = []
    if (series.get("count") or 0) < 2:
        errors.append(FieldError.invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        errors.append(FieldError.required("series.lastObservedTime"))
    return errors


def validate_new_api_update(new: Object, old: Object) -> Errors:
    """Check what events.k8s.io/v1 asks of changed events beyond that: all but the series stays."""
    errors = _reporter(new, "reportingController") if new.get("eventTime") else []
    errors += _series(new) if not unchanged(new.get("series"), old.get("series")) else []
    errors += immutable(
        new,
        old,
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "reason",  # upstream looks twice
        "type",
        "eventTime",
        "action",
        "related",
    )
    errors += validation.validate_immutable(
        new.get("reportingComponent") or "", old.get("reportingComponent"), "reportingController"
    )
    return errors + immutable(new, old, "reportingInstance")
