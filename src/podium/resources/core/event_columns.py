"""The columns of events, which both API versions of them show."""

from __future__ import annotations

from datetime import datetime

from podium.machinery.errors import Object
from podium.machinery.table import since
from podium.resources.defaulting import given
from podium.resources.printing import column, count, name, timed


def _first_seen(event: Object, now: datetime) -> str:
    return since(event.get("firstTimestamp") or event.get("eventTime"), now)


def _last_seen(event: Object, now: datetime) -> str:
    series = given(event, "series")
    if series is not None:
        return since(series.get("lastObservedTime"), now)
    last = event.get("lastTimestamp")
    return since(last, now) if last else _first_seen(event, now)


def _count(event: Object) -> int:
    series = given(event, "series")
    if series is not None:
        return count(series.get("count"))
    return count(event.get("count")) or 1


def _involved(event: Object) -> str:
    involved = given(event, "involvedObject") or {}
    kind = str(involved.get("kind") or "").lower()
    return f"{kind}/{involved['name']}" if involved.get("name") else kind


def _source(event: Object) -> str:
    source = given(event, "source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    instance = source.get("host") or event.get("reportingInstance") or ""
    return f"{component}, {instance}" if instance else str(component)


COLUMNS = (
    timed("Last Seen", _last_seen),
    column("Type", lambda event: event.get("type") or ""),
    column("Reason", lambda event: event.get("reason") or ""),
    column("Object", _involved),
    column(
        "Subobject", lambda event: (given(event, "involvedObject") or {}).get("fieldPath") or "", wide=True
    ),
    column("Source", _source, wide=True),
    column("Message", lambda event: str(event.get("message") or "").strip()),
    timed("First Seen", _first_seen, wide=True),
    column("Count", _count, wide=True),
    column("Name", name, format="name", wide=True),
)
