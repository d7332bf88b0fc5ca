"""Field selectors: `metadata.name=web-0,status.phase!=Running`. Upstream: k8s.io/apimachinery/pkg/fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from podium.machinery.errors import BadRequest

Operator = Literal["=", "!="]


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A conjunction of (path, operator, value). An empty one matches everything. `str()` is its text form."""

    requirements: tuple[tuple[str, Operator, str], ...] = ()

    def matches(self, getter: Callable[[str], str]) -> bool:
        """Tell whether an object matches; `getter` returns the object's value at a path."""
        return all((getter(path) == value) == (op == "=") for path, op, value in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(f"{path}{op}{escape(value)}" for path, op, value in self.requirements)

    def exact(self, path: str) -> str | None:
        """Return the value that `path` must be equal to, if the selector says so."""
        for own_path, op, value in self.requirements:
            if own_path == path and op == "=":
                return value
        return None


EVERYTHING = FieldSelector()


def escape(value: str) -> str:
    """Return `value` with the selector's own characters escaped."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def parse(text: str) -> FieldSelector:
    """Return the selector that `text` means. Raises BadRequest with upstream's message."""
    if not text:
        return EVERYTHING
    requirements = []
    for term in sorted(_terms(text)):
        if not term:
            continue
        split = _split_term(term)
        if split is None:
            raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
        path, op, value = split
        value = _unescaped(value)
        if path or value:
            requirements.append((path, op, value))
    return FieldSelector(tuple(requirements))


def _terms(text: str) -> list[str]:
    """Return the parts between the commas that no backslash escapes."""
    terms, start, escaped = [], 0, False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            terms.append(text[start:index])
            start = index + 1
    terms.append(text[start:])
    return terms


def _split_term(term: str) -> tuple[str, Operator, str] | None:
    for index in range(len(term)):
        rest = term[index:]
        if rest.startswith("!="):
            return term[:index], "!=", rest[2:]
        if rest.startswith("=="):
            return term[:index], "=", rest[2:]
        if rest.startswith("="):
            return term[:index], "=", rest[1:]
    return None


def _unescaped(text: str) -> str:
    if not any(char in text for char in "\\,="):
        return text
    result, escaped = [], False
    for char in text:
        if escaped:
            if char not in "\\,=":
                raise BadRequest(f"invalid field selector: invalid escape sequence: \\{char}")
            result.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            raise BadRequest(f"invalid field selector: unescaped character in value: {ord(char)}")
        else:
            result.append(char)
    if escaped:
        raise BadRequest("invalid field selector: invalid escape sequence: \\")
    return "".join(result)
