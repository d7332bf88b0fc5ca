"""Checks of single fields that many kinds share, beyond `machinery.validation`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import orjson

from podium.machinery import quantity, validation
from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.meta import dict_or_none

INT32_MAX = 2**31 - 1

Errors = list[FieldError]
Rule = Callable[[str], list[str]]


def named(field: str, value: str, rule: Rule) -> Errors:
    """Hang what `rule` says about a string on its field."""
    return validation.invalid_each(field, value, rule(value))


def required_name(field: str, value: str | None, rule: Rule) -> Errors:
    """Ask for a string and that it follow `rule`."""
    return named(field, value, rule) if value else [FieldError.required(field)]


def one_of(field: str, value: Json, supported: Sequence[str]) -> Errors:
    """Ask for one of the supported values; an empty one is missing."""
    if not value:
        return [FieldError.required(field)]
    return [] if value in supported else [FieldError.not_supported(field, value, supported)]


def supported(field: str, value: Json, values: Sequence[str]) -> Errors:
    """Ask for one of the supported values; an empty one is none of them."""
    return [] if value in values else [FieldError.not_supported(field, value or "", values)]


def nonnegative(obj: Object, field: str, *keys: str) -> Errors:
    """Ask for numbers under `keys` that are not below zero, where there are any."""
    errors: Errors = []
    for key in keys:
        path = f"{field}.{key}" if field else key
        errors += validation.validate_nonnegative(obj.get(key) or 0, path)
    return errors


def port_or_name(field: str, value: Json) -> Errors:
    """Check a port given by number or by name."""
    if isinstance(value, str):
        return named(field, value, validation.port_name_errors)
    return validation.invalid_each(field, value or 0, validation.port_number_errors(value or 0))


def nonnegative_int_or_percent(field: str, value: Json) -> Errors:
    """Check a count or a percentage, as rolling updates and disruption budgets take them."""
    if isinstance(value, str):
        return named(field, value, validation.percent_errors)
    return validation.validate_nonnegative(value or 0, field)


def percent(value: Json) -> int | None:
    """Return the number of a percentage, None for what is none."""
    if isinstance(value, str) and not validation.percent_errors(value):
        return int(value[:-1])
    return None


def not_above_100_percent(field: str, value: Json) -> Errors:
    """Refuse percentages above 100."""
    number = percent(value)
    if number is None or number <= 100:
        return []
    return [FieldError.invalid(field, value, "must not be greater than 100%")]


def int_or_percent_value(value: Json) -> int:
    """Return the number in a count or percentage, 0 where there is none. A text may be a count too."""
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]+", value, re.ASCII):
        return int(value)
    return percent(value) or 0


def parse_quantity(value: Json) -> quantity.Quantity:
    """Return a quantity; one that does not parse, which decoding refuses before, counts as zero."""
    try:
        return quantity.parse(value)
    except (ValueError, TypeError):
        return quantity.ZERO


def nonnegative_quantity(field: str, value: Json) -> Errors:
    """Refuse quantities below zero."""
    if parse_quantity(value) < quantity.ZERO:
        return [FieldError.invalid(field, str(value), "must be greater than or equal to 0")]
    return []


def relative_path(field: str, path: str) -> Errors:
    """Ask for a path that stays below where it starts."""
    errors: Errors = []
    if path.startswith("/"):
        errors.append(FieldError.invalid(field, path, "must be a relative path"))
    return errors + no_backsteps(field, path)


def no_backsteps(field: str, path: str) -> Errors:
    """Refuse `..` in a path."""
    if ".." in path.split("/"):
        return [FieldError.invalid(field, path, "must not contain '..'")]
    return []


def internal(field: str, text: str) -> FieldError:
    """Return an error of which upstream thinks that it is its own."""
    return FieldError(field, "InternalError", f"Internal error: {text}")


def omitted(field: str, detail: str) -> FieldError:
    """Return an error that names no value, as upstream leaves it out in some places."""
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {detail}")


_OPTIONAL_TEXTS = (
    *("completionMode", "nodeName", "preemptionPolicy", "reclaimPolicy", "volumeBindingMode"),
    *("eventTime", "firstTimestamp", "lastTimestamp"),
)
"""What is no text upstream, or one behind a pointer: its absence shows as null in errors."""


def immutable(new: Object, old: Object, *keys: str, field: str = "") -> Errors:
    """Refuse a change of the fields under `keys`."""
    errors: Errors = []
    for key in keys:
        path = f"{field}.{key}" if field else key
        value, was = new.get(key), old.get(key)
        if value is None and isinstance(was, str) and key not in _OPTIONAL_TEXTS:
            value = ""
        errors += validation.validate_immutable(value, was, path)
    return errors


def same(new: Json, old: Json) -> bool:
    """Say whether two values are the same where absent and empty are."""
    if isinstance(new, dict) or isinstance(old, dict):
        if not isinstance(new or {}, dict) or not isinstance(old or {}, dict):
            return False
        one, other = new or {}, old or {}
        return all(same(one.get(key), other.get(key)) for key in one.keys() | other.keys())
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(same(a, b) for a, b in zip(new, old, strict=True))
    return bool(new == old) or (not new and not old)


def unchanged(new: Json, old: Json) -> bool:
    """Say whether two completed values are the same where absent and an empty list are.

    Unlike `same` it tells a zero or an empty structure that was written from none: upstream has a pointer.
    """
    if isinstance(new, dict) and isinstance(old, dict):
        return all(unchanged(new.get(key), old.get(key)) for key in new.keys() | old.keys())
    if isinstance(new, list) and isinstance(old, list):
        return len(new) == len(old) and all(unchanged(a, b) for a, b in zip(new, old, strict=True))
    return bool(new == old and new.__class__ is old.__class__) or (new in (None, []) and old in (None, []))


def difference(old: Json, new: Json) -> str:
    """Return the change from `old` to `new` as a unified diff, for the people who read an error."""
    # Needed for refused updates only, so not loaded before.
    import difflib  # noqa: PLC0415

    def lines(value: Json) -> list[str]:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode().splitlines()

    hunks = list(difflib.unified_diff(lines(old), lines(new), lineterm=""))[2:]
    return "\n".join(hunks)


def objects(values: Json) -> list[Object]:
    """Return the objects of a list that may be absent."""
    if not values:
        return []
    return [value for value in values if isinstance(value, dict)]


def spec_of(obj: Object) -> Object:
    """Return the object's spec, to read."""
    return dict_or_none(obj.get("spec")) or {}


def metadata_of(obj: Object) -> Object:
    """Return the object's metadata, to read."""
    return dict_or_none(obj.get("metadata")) or {}


def duplicates(field: str, values: Iterable[str]) -> Errors:
    """Report every value that was there before."""
    seen: set[str] = set()
    errors: Errors = []
    for index, value in enumerate(values):
        if value in seen:
            errors.append(FieldError.duplicate(f"{field}[{index}]", value))
        seen.add(value)
    return errors
