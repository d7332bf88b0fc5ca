"""Optional values: `optional.of`, `orValue`, `hasValue`, the first and last of a list."""

from __future__ import annotations

from typing import Any

from podium.machinery.cel.declarations import declare
from podium.machinery.cel.values import NONE, TIMESTAMP_ZERO, Duration, Optional, Timestamp


def of_non_zero(value: Any) -> Optional:
    """Return none for null, false, zero and what is empty."""
    if value is None or value is False or (isinstance(value, Duration) and value.nanos == 0):
        return NONE
    if isinstance(value, Timestamp) and value.nanos == TIMESTAMP_ZERO:
        return NONE
    if isinstance(value, int | float | str | bytes | list | dict) and not value:
        return NONE
    return Optional(value)


def unwrapped(values: list[Any]) -> list[Any]:
    return [value.value() for value in values if value.present]


OVERLOADS = declare(
    [
        ("optional_of", "optional.of", "V", "optional(V)", Optional),
        ("optional_ofNonZeroValue", "optional.ofNonZeroValue", "V", "optional(V)", of_non_zero),
        ("optional_none", "optional.none", "", "optional(V)", lambda: NONE),
        ("optional_value", ".value", "optional(V)", "V", Optional.value),
        ("optional_hasValue", ".hasValue", "optional(V)", "bool", lambda value: value.present),
        (
            "optional_or_optional",
            ".or",
            "optional(V), optional(V)",
            "optional(V)",
            lambda value, other: value if value.present else other,
        ),
        (
            "optional_orValue_value",
            ".orValue",
            "optional(V), V",
            "V",
            lambda value, other: value.value() if value.present else other,
        ),
        ("optional_unwrap", "optional.unwrap", "list(optional(V))", "list(V)", unwrapped),
        ("optional_unwrapOpt", ".unwrapOpt", "list(optional(V))", "list(V)", unwrapped),
    ],
    since=28,
) + declare(
    [
        (
            "list_first",
            ".first",
            "list(V)",
            "optional(V)",
            lambda values: Optional(values[0]) if values else NONE,
        ),
        (
            "list_last",
            ".last",
            "list(V)",
            "optional(V)",
            lambda values: Optional(values[-1]) if values else NONE,
        ),
    ],
    since=34,
)
