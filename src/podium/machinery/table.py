"""Tables: what `kubectl get` prints, made from a resource's columns on the server's side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

from podium.base.clock import parse_rfc3339
from podium.machinery.errors import Json, Object
from podium.machinery.meta import metadata
from podium.machinery.resource import Column, Resource

IncludeObject = Literal["None", "Metadata", "Object"]

UNKNOWN = "<unknown>"
INVALID = "<invalid>"
NONE = "<none>"

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


def duration(seconds: float) -> str:
    """Return a duration as kubectl prints ages: two units at most, fewer the longer it is.

    119s, 2m, 5m30s, 10m, 179m, 3h, 7h59m, 47h, 2d3h, 7d23h, 8d, 729d, 2y, 2y5d, 8y.
    """
    whole = int(seconds)
    if whole < -1:
        return INVALID
    if whole < 0:
        return "0s"
    if whole < 2 * MINUTE_S:
        return f"{whole}s"
    minutes = whole // MINUTE_S
    if minutes < 10:
        return _two(minutes, "m", whole % MINUTE_S, "s")
    if minutes < 3 * 60:
        return f"{minutes}m"
    hours = whole // HOUR_S
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 8 * 24:
        return _two(days, "d", hours % 24, "h")
    if hours < 2 * 365 * 24:
        return f"{days}d"
    if hours < 8 * 365 * 24:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(many: int, unit: str, few: int, small_unit: str) -> str:
    return f"{many}{unit}{few}{small_unit}" if few else f"{many}{unit}"


def short_duration(seconds: float) -> str:
    """Return a duration in its largest unit alone: upstream's ShortHumanDuration."""
    whole = int(seconds)
    if whole < -1:
        return INVALID
    if whole < 0:
        return "0s"
    if whole < MINUTE_S:
        return f"{whole}s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S}m"
    if whole < DAY_S:
        return f"{whole // HOUR_S}h"
    if whole < 365 * DAY_S:
        return f"{whole // DAY_S}d"
    return f"{whole // DAY_S // 365}y"


def since(text: Json, now: datetime) -> str:
    """Return how long ago a wire time was, `<unknown>` when it was never set."""
    if not isinstance(text, str) or not text:
        return UNKNOWN
    try:
        return duration((now - parse_rfc3339(text)).total_seconds())
    except ValueError:
        return UNKNOWN


def age(obj: Object, now: datetime) -> str:
    """Return the cell of an Age column."""
    return since(metadata(obj).get("creationTimestamp"), now)


def _name(obj: Object, _now: datetime) -> Json:
    return metadata(obj).get("name") or ""


def _created_at(obj: Object, _now: datetime) -> Json:
    return metadata(obj).get("creationTimestamp") or UNKNOWN


DEFAULT_COLUMNS = (
    Column(
        name="Name",
        value=_name,
        format="name",
        description="Name of the object, unique among its kind in its namespace.",
    ),
    Column(
        name="Created At",
        value=_created_at,
        type="date",
        description="When the object was created, as the server's clock had it.",
    ),
)
"""What kinds without columns of their own show."""


def table(
    resource: Resource,
    objects: Iterable[Object],
    *,
    now: datetime,
    include_object: IncludeObject | str = "Metadata",
    list_meta: Object | None = None,
    columns_too: bool = True,
) -> Object:
    """Return a metav1 Table with a row for each object.

    `list_meta` is the list's metadata (resourceVersion, continue, ...), or the object's resourceVersion for a
    single one. Watches leave out `columnDefinitions` after their first event: `columns_too=False`.
    """
    columns = resource.columns or DEFAULT_COLUMNS
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": dict(list_meta or {}),
        "columnDefinitions": [_definition(column) for column in columns if column.defined]
        if columns_too
        else None,
        "rows": [_row(resource, columns, obj, now, include_object) for obj in objects],
    }


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    }


def _row(resource: Resource, columns: tuple[Column, ...], obj: Object, now: datetime, include: str) -> Object:
    row: Object = {"cells": [column.value(obj, now) for column in columns]}
    conditions = resource.row_conditions(obj) if resource.row_conditions is not None else []
    if conditions:
        row["conditions"] = conditions
    row["object"] = _row_object(resource, obj, include)
    return row


def _row_object(resource: Resource, obj: Object, include: str) -> Object | None:
    if include == "None":
        return None
    if include == "Object":
        return {**obj, "kind": resource.kind, "apiVersion": resource.api_version}
    return partial_metadata(obj, resource.hidden_annotations)


def partial_metadata(obj: Object, hidden: Sequence[str] = ()) -> Object:
    """Return the PartialObjectMetadata of an object, without the annotations that are hidden."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": without_annotations(metadata(obj), hidden) if hidden else metadata(obj),
    }


def without_annotations(metadata: Object, hidden: Sequence[str]) -> Object:
    """Return metadata that does not have the hidden annotations; the argument stays as it is."""
    annotations = metadata.get("annotations") or {}
    shown = {key: value for key, value in annotations.items() if key not in hidden}
    kept = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**kept, "annotations": shown} if shown else kept
