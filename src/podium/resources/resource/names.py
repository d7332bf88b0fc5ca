"""The names of things that drivers of devices publish, and lists with a bound."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from typing import TypeVar

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json
from podium.resources.checks import Errors, named

DRIVER_LENGTH_MAX = 63
ID_LENGTH_MAX = 32
POOL_LENGTH_MAX = validation.SUBDOMAIN_LENGTH_MAX
_T = TypeVar("_T")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def driver(field: str, name: str) -> Errors:
    """Check a driver's name, which is a DNS name in any case."""
    if not name:
        return [FieldError.required(field)]
    errors: Errors = []
    if len(name) > DRIVER_LENGTH_MAX:
        errors.append(FieldError.too_long(field, DRIVER_LENGTH_MAX))
    messages = validation.dns1123_subdomain_errors(name.lower())
    return errors + validation.invalid_each(field, name, messages)


def pool(field: str, name: str) -> Errors:
    """Check a pool's name: DNS names separated by slashes."""
    if not name:
        return [FieldError.required(field)]
    errors: Errors = []
    if len(name) > POOL_LENGTH_MAX:
        errors.append(FieldError.too_long(field, POOL_LENGTH_MAX))
    for part in name.split("/"):
        errors += named(field, part, validation.dns1123_subdomain_errors)
    return errors


def caseless_errors(text: str) -> list[str]:
    """Return what is wrong with a DNS name in any case, as upstream's declared rules word it."""
    messages = validation.told_in_bytes(validation.dns1123_subdomain_errors(text.lower()))
    return [
        message.replace("a lowercase RFC 1123 subdomain", "an RFC 1123 subdomain")
        .replace("lower case alphanumeric", "alphanumeric")
        .replace("'example.com'", "'Example.com'")
        for message in messages
    ]


def segmented_pool(field: str, name: str) -> Errors:
    """Check a pool's name as upstream's declared rules do."""
    errors: Errors = []
    if len(name) > POOL_LENGTH_MAX:
        errors.append(FieldError.too_long(field, POOL_LENGTH_MAX))
    for index, part in enumerate(name.split("/")):
        faults = validation.told_in_bytes(validation.dns1123_subdomain_errors(part))
        for fault in faults if part else ["must not be empty"]:
            errors.append(FieldError.invalid(field, part or name, f"segment {index}: {fault}"))
    return errors


def device(field: str, name: str) -> Errors:
    """Check a device's name, or a request's: a DNS label."""
    return named(field, name, validation.dns1123_label_errors)


def qualified(field: str, name: str) -> Errors:
    """Check the name of an attribute or a capacity, with or without its domain."""
    domain, slash, own = name.partition("/")
    if not slash:
        return _identifier(field, name)
    if "/" in own:
        # Upstream passes over names with more slashes.
        return []
    errors = (
        driver(field, domain) if domain else [FieldError.invalid(field, "", "the domain must not be empty")]
    )
    return errors + (
        _identifier(field, own) if own else [FieldError.invalid(field, "", "the name must not be empty")]
    )


def fully_qualified(field: str, name: str) -> Errors:
    """Check the name of an attribute with its domain."""
    errors = qualified(field, name)
    if "/" not in name:
        detail = "a fully qualified name must be a domain and a name separated by a slash"
        errors.append(FieldError.invalid(field, name, detail))
    return errors


def _identifier(field: str, text: str) -> Errors:
    errors: Errors = []
    if len(text) > ID_LENGTH_MAX:
        errors.append(FieldError.too_long(field, ID_LENGTH_MAX))
    return errors + named(field, text, validation.c_identifier_errors)


def uid(field: str, text: str) -> Errors:
    """Check a UID in its usual form."""
    if _UID.fullmatch(text):
        return []
    if _UID.fullmatch(text.lower()):
        detail = (
            "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase "
            "hexadecimal characters"
        )
        return [FieldError.invalid(field, text, detail)]
    return [FieldError.invalid(field, text, f"error validating uid: invalid UUID length: {len(text)}")]


def bounded(values: list[_T], count_max: int, check: Callable[[_T, str], Errors], field: str) -> Errors:
    """Check each value of a list that is not too long; of a longer one only its length is told."""
    if len(values) > count_max:
        return [FieldError.too_many(field, len(values), count_max)]
    errors: Errors = []
    for index, value in enumerate(values):
        errors += check(value, f"{field}[{index}]")
    return errors


def distinct(
    values: list[_T],
    count_max: int,
    check: Callable[[_T, str], Errors],
    key: Callable[[_T], Hashable],
    field: str,
    *,
    shown: Callable[[_T], Json] | None = None,
) -> Errors:
    """As `bounded`, and each key only once."""
    errors = bounded(values, count_max, check, field)
    if len(values) > count_max:
        return errors
    seen: set[Hashable] = set()
    for index, value in enumerate(values):
        if key(value) in seen:
            errors.append(FieldError.duplicate(f"{field}[{index}]", (shown or key)(value)))
        seen.add(key(value))
    return errors


def truncated(text: str, length_max: int) -> str:
    """Return a key as paths show it: a long one without its middle."""
    if len(text) <= length_max:
        return text
    rest = length_max - 3
    return f"{text[: (rest + 1) // 2]}...{text[len(text) - rest // 2 :]}"
