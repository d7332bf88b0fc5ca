"""Status in the shape upstream writes it, and changing conditions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from podium.machinery.errors import Json, Object


def without_zeros(fields: Mapping[str, Json], *, keep: Iterable[str] = ()) -> Object:
    """Return `fields` less what Go leaves out as empty (0, "", [], {}, None), but for those in `keep`."""
    kept = frozenset(keep)
    return {name: value for name, value in fields.items() if value or name in kept}


def condition_of(conditions: Iterable[Object], type: str) -> Object | None:
    return next((condition for condition in conditions if condition.get("type") == type), None)


def put_condition(conditions: list[Object], new: Object) -> list[Object]:
    """Return `conditions` with `new` at the end, in place of the one of its type.

    One that says the same (status, reason) stays as it is, times and message included; one with the same
    status passes its lastTransitionTime on.
    """
    current = condition_of(conditions, new["type"])
    if (
        current is not None
        and current.get("status") == new["status"]
        and current.get("reason") == new["reason"]
    ):
        return conditions
    if current is not None and current.get("status") == new["status"] and current.get("lastTransitionTime"):
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [*drop_condition(conditions, new["type"]), new]


def drop_condition(conditions: list[Object], type: str) -> list[Object]:
    return [condition for condition in conditions if condition.get("type") != type]
