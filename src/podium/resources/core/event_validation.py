"""What is wrong with events, by the lenient rules of core/v1."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, metadata_of, named
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
    component = str(event.get("reportingComponent") or "")
    if not component:
        errors.append(FieldError.required("reportingComponent"))
    errors += named("reportingComponent", component, validation.qualified_name_errors)
    for key, length_max in (("reportingInstance", 128), ("action", 128), ("reason", 128)):
        value = str(event.get(key) or "")
        if not value:
            errors.append(FieldError.required(key))
        if len(value.encode()) > length_max:
            errors.append(FieldError.invalid(key, "", f"can have at most {length_max} characters"))
    if len(str(event.get("message") or "").encode()) > 1024:
        errors.append(FieldError.invalid("message", "", "can have at most 1024 characters"))
    return errors
