"""Regular expressions: matches, find, findAll."""

from __future__ import annotations

from podium.machinery.cel.declarations import declare
from podium.machinery.cel.errors import CelRuntimeError
from podium.machinery.regexp import Pattern, PatternError, compiled


def matches(text: str, pattern: str) -> bool:
    """Return whether the pattern is found anywhere in the text."""
    try:
        return compiled(pattern).search(text) is not None
    except PatternError as error:
        raise CelRuntimeError(str(error)) from None


def find(text: str, pattern: str) -> str:
    """Return the first match, or nothing."""
    found = _compiled(pattern).search(text)
    return found[0] if found is not None else ""


def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found: list[str] = []
    if limit == 0:
        return found
    for match in _compiled(pattern).finditer(text):
        found.append(match[0])
        if len(found) == limit:
            break
    return found


def _compiled(pattern: str) -> Pattern:
    try:
        return compiled(pattern)
    except PatternError as error:
        raise CelRuntimeError(f"Illegal regex: {error}") from None


OVERLOADS = declare(
    [
        ("string_find_string", ".find", "string, string", "string", find),
        ("string_find_all_string", ".findAll", "string, string", "list(string)", find_all),
        ("string_find_all_string_int", ".findAll", "string, string, int", "list(string)", find_all),
    ]
)
