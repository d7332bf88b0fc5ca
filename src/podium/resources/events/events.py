"""Event, events.k8s.io/v1: the same objects as core/v1 events under other field names."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.core import event_columns
from podium.resources.core import events as core
from podium.resources.defaulting import child, drop_zero
from podium.resources.printing import of_stored
from podium.resources.selecting import fields

_CORE_NAMES = {
    "note": "message",
    "regarding": "involvedObject",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_NAMES = {core: own for own, core in _CORE_NAMES.items()}


def to_core(obj: Object) -> Object:
    """Return the event as core/v1 says it."""
    event = {_CORE_NAMES.get(key, key): value for key, value in obj.items()} | {"apiVersion": "v1"}
    core.default_event(event)
    return event


def from_core(obj: Object) -> Object:
    """Return the core/v1 event as this version says it."""
    event = {_NAMES.get(key, key): value for key, value in obj.items()} | {"apiVersion": "events.k8s.io/v1"}
    drop_zero(event, "reportingController", "reportingInstance")
    return event


def _defaults(event: Object) -> None:
    event.setdefault("eventTime", None)
    child(event, "deprecatedSource")
    child(event, "regarding")
    for name in ("deprecatedFirstTimestamp", "deprecatedLastTimestamp"):
        event.setdefault(name, None)
    drop_zero(event, "reason", "note", "type", "deprecatedCount", "action")


EVENTS = Resource(
    group="events.k8s.io",
    version="v1",
    kind="Event",
    core_finalizers=False,
    compares_metadata=False,
    default_propagation="Unsupported",
    plural="events",
    namespaced=True,
    short_names=("ev",),
    schema="io.k8s.api.events.v1.Event",
    storage=core.EVENTS,
    to_storage=to_core,
    from_storage=from_core,
    create_on_update=True,
    defaults=_defaults,
    columns=of_stored(event_columns.COLUMNS, to_core),
    selectable=fields(
        *(f"regarding.{name}" for name in core.REFERENCE_FIELDS), "reason", "type", "reportingController"
    ),
    # Reported below, by the name that it has here.
    tolerates=lambda error: error.field == "reportingComponent",
    validate=deferred.check("core.event_validation", "validate_new_api"),
    validate_update=deferred.update_check("core.event_validation", "validate_new_api_update"),
)
