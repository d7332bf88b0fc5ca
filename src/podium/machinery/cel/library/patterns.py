"""Regular expressions in RE2's syntax: matches, find, findAll.

RE2 itself does the work, in time linear in the text: a pattern comes from whoever may write a rule. Where the
library is missing Python's engine stands in, without look-around and back references, which RE2 has not.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from podium.machinery.cel.declarations import declare
from podium.machinery.cel.errors import CelRuntimeError

PATTERN_MAX = 10_000
_NOT_RE2 = re.compile(r"(?<!\\)(?:\\\\)*(?:\(\?(?:[=!>(#]|<[=!]|P[=>])|\\[1-9]|[*+?}]\+)")


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """Return the compiled pattern. Raises ValueError when it is none."""
    if len(pattern) > PATTERN_MAX:
        raise ValueError("error parsing regexp: expression too large")
    try:
        import re2
    except ImportError:
        return _fallback(pattern)
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        detail = error.args[0] if error.args else ""
        raise ValueError(
            f"error parsing regexp: {detail.decode() if isinstance(detail, bytes) else detail}"
        ) from None


def _fallback(pattern: str) -> Any:
    if (found := _NOT_RE2.search(pattern)) is not None:
        raise ValueError(f"error parsing regexp: invalid or unsupported Perl syntax: `{found[0]}`")
    try:
        # \z ends the text in RE2, and $ does not match before a last line feed.
        return re.compile(pattern.replace(r"\z", r"\Z"), re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"error parsing regexp: {error}") from None


def matches(text: str, pattern: str) -> bool:
    """Return whether the pattern is found anywhere in the text."""
    try:
        return compiled(pattern).search(text) is not None
    except ValueError as error:
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


def _compiled(pattern: str) -> Any:
    try:
        return compiled(pattern)
    except ValueError as error:
        raise CelRuntimeError(f"Illegal regex: {error}") from None


OVERLOADS = declare(
    [
        ("string_find_string", ".find", "string, string", "string", find),
        ("string_find_all_string", ".findAll", "string, string", "list(string)", find_all),
        ("string_find_all_string_int", ".findAll", "string, string, int", "list(string)", find_all),
    ]
)
