"""Go's regular expressions, where schemas have them, as Python's."""

from __future__ import annotations

import re
from functools import lru_cache

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": "\\x00-\\x7F",
    "blank": "\\t ",
    "cntrl": "\\x00-\\x1F\\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t\\n\\v\\f\\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_TOKEN = re.compile(r"\\p\{(\w+)\}|\\p(\w)|\\[\s\S]|\[:(\^?)(\w+):\]|\[\^?\]?|\]|\$|[\s\S]")
_PROPERTIES = {"L": "A-Za-zÀ-ɏͰ-῿", "Lu": "A-ZÀ-Þ", "Ll": "a-zß-ÿ", "N": "0-9", "Nd": "0-9"}
"""The commonest Unicode classes, by their commonest members: Python's module knows none."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return `pattern` compiled. Raises `re.error`."""
    return re.compile(_translated(pattern), re.ASCII)


def _translated(pattern: str) -> str:
    made: list[str] = []
    inside = False
    for token in _TOKEN.finditer(pattern):
        text = token[0]
        known = token[1] or token[2]
        if known in _PROPERTIES:
            made.append(_PROPERTIES[known] if inside else f"[{_PROPERTIES[known]}]")
        elif text == "\\z" or (text == "$" and not inside and "(?m" not in pattern):
            # In Go $ is the end of the text, never the place before a last line break.
            made.append("\\Z")
        elif token[4] in _CLASSES and inside and not token[3]:
            made.append(_CLASSES[token[4]])
        elif text.startswith("[") and not inside:
            inside = True
            made.append(text)
        elif text == "[":
            made.append("\\[")
        elif text == "]":
            inside = False
            made.append(text)
        else:
            made.append(text)
    return "".join(made)


def go_message(error: re.error, pattern: str) -> str:
    """Return what Go says of a pattern that does not compile, as near as Python's error tells."""
    text = str(error)
    if "unterminated character set" in text:
        return f"error parsing regexp: missing closing ]: `{pattern[error.pos or 0 :]}`"
    if "missing )" in text:
        return f"error parsing regexp: missing closing ): `{pattern}`"
    if "unbalanced parenthesis" in text:
        return f"error parsing regexp: unexpected ): `{pattern}`"
    if "nothing to repeat" in text:
        at = error.pos or 0
        return f"error parsing regexp: missing argument to repetition operator: `{pattern[at : at + 1]}`"
    return f"error parsing regexp: {text}"
