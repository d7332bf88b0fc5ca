"""Event, events.k8s.io/v1: the same objects as core/v1 events under other field names."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core import events as core

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
    return {_CORE_NAMES.get(key, key): value for key, value in obj.items()} | {"apiVersion": "v1"}


def from_core(obj: Object) -> Object:
    """Return the core/v1 event as this version says it."""
    return {_NAMES.get(key, key): value for key, value in obj.items()} | {"apiVersion": "events.k8s.io/v1"}


EVENTS = Resource(
    group="events.k8s.io",
    version="v1",
    kind="Event",
    plural="events",
    namespaced=True,
    short_names=("ev",),
    schema="io.k8s.api.events.v1.Event",
    storage=core.EVENTS,
    to_storage=to_core,
    from_storage=from_core,
    create_on_update=True,
)
