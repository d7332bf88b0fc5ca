"""What the columns of `kubectl get` share: names, ages, selectors, containers and images as text.

A column's value is computed from objects of any age and origin, so `column` guards it: whatever is odd about
an object shows as `<unknown>` and never fails a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from podium.machinery import labels, quantity
from podium.machinery.errors import Json, Object
from podium.machinery.resource import Column
from podium.machinery.table import age
from podium.resources.defaulting import given, items

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"

Cell = Callable[[Object], Json]
TimedCell = Callable[[Object, datetime], Json]

_ODD = (TypeError, ValueError, KeyError, AttributeError, IndexError)


def column(
    name: str,
    value: Cell,
    *,
    type: str = "string",
    format: str = "",
    description: str = "",
    wide: bool = False,
) -> Column:
    """Return a column whose cell depends on the object alone."""
    return timed(
        name, lambda obj, _now: value(obj), type=type, format=format, description=description, wide=wide
    )


def timed(
    name: str,
    value: TimedCell,
    *,
    type: str = "string",
    format: str = "",
    description: str = "",
    wide: bool = False,
) -> Column:
    """Return a column whose cell depends on the moment too."""
    return Column(
        name=name,
        value=_guarded(value),
        type=type,
        format=format,
        description=description or f"{name} of the object",
        priority=1 if wide else 0,
    )


def _guarded(value: TimedCell) -> TimedCell:
    def guarded(obj: Object, now: datetime) -> Json:
        try:
            return value(obj, now)
        except _ODD:
            return UNKNOWN

    return guarded


def of_stored(columns: Iterable[Column], to_storage: Callable[[Object], Object]) -> tuple[Column, ...]:
    """Return the columns of a storage resource for objects in another version of it."""
    return tuple(_of_stored(column, to_storage) for column in columns)


def _of_stored(column: Column, to_storage: Callable[[Object], Object]) -> Column:
    return replace(column, value=_guarded(lambda obj, now: column.value(to_storage(obj), now)))


def name(obj: Object) -> str:
    """Return the object's name."""
    return str((given(obj, "metadata") or {}).get("name") or "")


NAME = column("Name", name, format="name", description="Name, unique within the namespace and kind")
AGE = timed("Age", age, description="Time since creation")


def spec(obj: Object) -> Object:
    """Return the object's spec, to read."""
    return given(obj, "spec") or {}


def status(obj: Object) -> Object:
    """Return the object's status, to read."""
    return given(obj, "status") or {}


def count(value: Json) -> int:
    """Return a number that may be absent."""
    return int(value or 0)


def template_containers(obj: Object) -> list[Object]:
    """Return the containers of `spec.template`."""
    return list(items(given(given(spec(obj), "template") or {}, "spec"), "containers"))


def container_columns(containers: Callable[[Object], list[Object]]) -> tuple[Column, Column]:
    """Return the wide columns that name containers and images."""
    return (
        column(
            "Containers",
            lambda obj: ",".join(str(c.get("name") or "") for c in containers(obj)),
            description="Names of the containers",
            wide=True,
        ),
        column(
            "Images",
            lambda obj: ",".join(str(c.get("image") or "") for c in containers(obj)),
            description="Images of the containers",
            wide=True,
        ),
    )


def map_text(selector: Object | None) -> str:
    """Return a map of labels as text."""
    return ",".join(f"{key}={value}" for key, value in sorted((selector or {}).items())) or NONE


def selector_text(selector: Object | None) -> str:
    """Return a metav1.LabelSelector as text, `<none>` where it selects everything or nothing."""
    if not selector:
        return NONE
    try:
        return str(labels.from_label_selector(selector)) or NONE
    except ValueError:
        return "<error>"


def joined(values: Iterable[str], *, count_max: int = 3, total: int | None = None) -> str:
    """Return values separated by commas, the first few and how many more there are."""
    listed = list(values)
    text = ",".join(listed[:count_max])
    if len(listed) > count_max:
        return f"{text} + {(total or len(listed)) - count_max} more..."
    return text


def condition(obj: Object, type: str) -> Object | None:
    """Return the condition of that type in the object's status."""
    return next((c for c in items(status(obj), "conditions") if c.get("type") == type), None)


def condition_true(obj: Object, type: str) -> bool:
    """Say whether the condition of that type is True."""
    return (condition(obj, type) or {}).get("status") == "True"


def deleting(obj: Object) -> bool:
    """Say whether the object is on its way out."""
    return bool((given(obj, "metadata") or {}).get("deletionTimestamp"))


def load_balancer_addresses(obj: Object) -> list[str]:
    """Return the addresses in `status.loadBalancer`, sorted, each once."""
    ingress = items(given(status(obj), "loadBalancer"), "ingress")
    return sorted(
        {str(i.get("ip") or i.get("hostname")) for i in ingress if i.get("ip") or i.get("hostname")}
    )


def quantity_text(value: Json) -> str:
    """Return a quantity in canonical form, "0" where there is none."""
    return quantity.canonical(value) if value is not None else "0"


_ACCESS_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def access_modes_text(modes: Iterable[str] | None) -> str:
    """Return access modes in their short forms, in a fixed order."""
    present = set(modes or ())
    return ",".join(short for mode, short in _ACCESS_MODES.items() if mode in present)
