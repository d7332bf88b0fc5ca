"""Regular expressions as Go has them, for the patterns of schemas and of CEL.

RE2 does the work, in time linear in the text: a pattern comes from whoever may write a definition, and
Python's own engine can be kept busy for years by a few characters. The library is imported with the first
pattern.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

Pattern = Any  # re2 has no types
PATTERN_MAX = 10_000

# What Go calls the faults that RE2 names otherwise.
_GO_NAMES = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid named capture group": "invalid named capture",
}


class PatternError(ValueError):
    """The pattern does not compile. The text is Go's."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"error parsing regexp: {detail}")


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Pattern:
    """Return the compiled pattern, which has `search` and `finditer`. Raises PatternError when it is none."""
    if len(pattern) > PATTERN_MAX:
        raise PatternError(f"expression too large: `{pattern[:100]}`")
    import re2  # noqa: PLC0415 - only who uses patterns pays for the library

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise PatternError(_go_detail(error.args[0])) from None
    except UnicodeError:
        raise PatternError("invalid UTF-8: ``") from None


def _go_detail(detail: bytes | str) -> str:
    text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else detail
    if text.startswith("trailing \\"):
        return "trailing backslash at end of expression: ``"
    if text.startswith("pattern too large"):
        return "expression too large: ``"
    name, colon, where = text.partition(": ")
    return f"{_GO_NAMES.get(name, name)}: `{where}`" if colon else text
