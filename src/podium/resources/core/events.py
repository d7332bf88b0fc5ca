"""Event, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.validation import path_segment_errors
from podium.resources import deferred
from podium.resources.core import event_columns
from podium.resources.defaulting import absent, child, drop_zero
from podium.resources.selecting import field, fields


def default_event(event: Object) -> None:
    """Upstream's type has no optional fields here: what is empty is shown as empty."""
    child(event, "involvedObject")
    child(event, "source")
    for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
        event.setdefault(name, None)
    absent(event, "reportingComponent", "")
    absent(event, "reportingInstance", "")
    drop_zero(event, "reason", "message", "type", "count", "action")


REFERENCE_FIELDS = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _source(event: Object) -> str:
    source = event.get("source")
    component = source.get("component") if isinstance(source, dict) else None
    return str(component or event.get("reportingComponent") or "")


EVENTS = Resource(
    version="v1",
    kind="Event",
    core_finalizers=False,
    compares_metadata=False,
    default_propagation="Unsupported",
    plural="events",
    namespaced=True,
    short_names=("ev",),
    schema="io.k8s.api.core.v1.Event",
    create_on_update=True,
    defaults=default_event,
    columns=event_columns.COLUMNS,
    selectable=fields(*(f"involvedObject.{name}" for name in REFERENCE_FIELDS), "reason", "type")
    | {"reportingComponent": field("reportingComponent"), "source": _source},
    name_errors=path_segment_errors,
    validate=deferred.check("core.event_validation", "validate_event"),
    validate_update=deferred.check_new("core.event_validation", "validate_event"),
)
