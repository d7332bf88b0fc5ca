"""Label selectors: `app=web,tier in (a,b),!legacy`. Upstream: k8s.io/apimachinery/pkg/labels.

A selector is a conjunction of requirements, sorted by key. `parse` reads upstream's grammar and raises
BadRequest with upstream's messages; `from_label_selector` reads a metav1.LabelSelector.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from podium.base.caching import kept_if_short
from podium.machinery.errors import BadRequest, Json, Object, shown
from podium.machinery.validation import label_value_errors, qualified_name_errors

Operator = Literal["in", "notin", "=", "==", "!=", ">", "<", "exists", "!"]

_BINARY_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_FROM_EXPRESSION: dict[str, Operator] = {
    "In": "in",
    "NotIn": "notin",
    "Exists": "exists",
    "DoesNotExist": "!",
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one key must be. `str()` is its text form."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in" | "=" | "==":
                return value is not None and value in self.values
            case "notin" | "!=":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case _:
                return self._compares(value)

    def _compares(self, value: str | None) -> bool:
        left, right = _integer(value), _integer(next(iter(self.values)))
        if left is None or right is None:
            return False
        return left > right if self.operator == ">" else left < right

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case _:
                return f"{self.key}{self.operator}{next(iter(self.values))}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of requirements; none at all matches everything. `str()` is its canonical text."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    """Matches no object at all: what a missing LabelSelector means."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.nothing:
            return False
        for requirement in self.requirements:  # noqa: SIM110 - a loop costs half of all() on this hot path
            if not requirement.matches(labels):
                return False
        return True

    @property
    def empty(self) -> bool:
        """Tell whether everything matches."""
        return not self.requirements and not self.nothing

    def exacts(self) -> Iterator[tuple[str, str]]:
        """Yield the keys that must have one certain value, and that."""
        for requirement in self.requirements:
            if requirement.operator in ("=", "==", "in") and len(requirement.values) == 1:
                yield requirement.key, next(iter(requirement.values))

    def exact(self, key: str) -> str | None:
        """Return the value that `key` must have, if exactly one can match."""
        for requirement in self.requirements:
            positive = requirement.operator in ("=", "==", "in")
            if requirement.key == key and positive and len(requirement.values) == 1:
                return next(iter(requirement.values))
        return None

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def _integer(text: str | None) -> int | None:
    """Return what Go's ParseInt(…, 10, 64) makes of a text, None for an error."""
    if text is None or not re.fullmatch(r"[+-]?[0-9]+", text, re.ASCII):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _sorted(requirements: list[Requirement]) -> Selector:
    return Selector(tuple(sorted(requirements, key=lambda requirement: requirement.key)))


def from_map(labels: Mapping[str, str] | None) -> Selector:
    """Return the selector of all objects that carry these labels; an empty map selects everything."""
    return _sorted([Requirement(key, "=", frozenset((value,))) for key, value in (labels or {}).items()])


def from_label_selector(selector: Object | None) -> Selector:
    """Return what a metav1.LabelSelector means: None selects nothing, an empty one everything.

    Raises ValueError for an operator that upstream does not know or values that do not fit it.
    """
    if selector is None:
        return NOTHING
    requirements = [
        _requirement(key, "=", frozenset((value,)))
        for key, value in (selector.get("matchLabels") or {}).items()
    ]
    for expression in selector.get("matchExpressions") or ():
        operator = _FROM_EXPRESSION.get(expression.get("operator", ""))
        if operator is None:
            raise ValueError(
                f"{shown(expression.get('operator', ''))} is not a valid label selector operator"
            )
        values = frozenset(expression.get("values") or ())
        requirements.append(_requirement(expression.get("key", ""), operator, values))
    return _sorted(requirements)


def printed(selector: Object | None) -> str:
    """Return a label selector as upstream prints it in messages."""
    if selector is None:
        return "nil"
    exact: Mapping[str, str] = selector.get("matchLabels") or {}
    same = "".join(f"{key}: {exact[key]}," for key in sorted(exact))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.get('key', '')},Operator:{e.get('operator', '')},"
        f"Values:[{' '.join(e.get('values') or ())}],}},"
        for e in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{same}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


def _requirement(key: str, operator: Operator, values: frozenset[str]) -> Requirement:
    """Return a checked requirement. Raises ValueError with upstream's message."""
    errors = _key_errors(key, "key")
    match operator:
        case "in" | "notin":
            if not values:
                errors.append(
                    _invalid("values", [], "for 'in', 'notin' operators, values set can't be empty")
                )
        case "=" | "==" | "!=":
            if len(values) != 1:
                errors.append(
                    _invalid("values", sorted(values), "exact-match compatibility requires one single value")
                )
        case "exists" | "!":
            if values:
                detail = "values set must be empty for exists and does not exist"
                errors.append(_invalid("values", sorted(values), detail))
        case _:
            if len(values) != 1:
                detail = "for 'Gt', 'Lt' operators, exactly one value is required"
                errors.append(_invalid("values", sorted(values), detail))
            for index, value in enumerate(sorted(values)):
                if _integer(value) is None:
                    detail = "for 'Gt', 'Lt' operators, the value must be an integer"
                    errors.append(_invalid(f"values[{index}]", value, detail))
    for index, value in enumerate(sorted(values)):
        messages = label_value_errors(value)
        if messages:
            errors.append(_invalid(f"values[{index}][{key}]", value, "; ".join(messages)))
    if errors:
        raise ValueError(errors[0] if len(errors) == 1 else "[" + ", ".join(dict.fromkeys(errors)) + "]")
    return Requirement(key, operator, values)


def _key_errors(key: str, path: str) -> list[str]:
    messages = qualified_name_errors(key)
    return [_invalid(path, key, "; ".join(messages))] if messages else []


def _invalid(path: str, value: Json, detail: str) -> str:
    return f"{path}: Invalid value: {shown(value)}: {detail}"


@kept_if_short(1024)
def parse(text: str) -> Selector:
    """Return the selector that `text` means. Raises BadRequest with upstream's message."""
    return _sorted(_Parser(text).selector()) if text else EVERYTHING


_TOKEN = re.compile(r"\s*([^\s=!(),<>]+|[=!(),<>]+)")
_SYMBOLS = frozenset((")", ",", "!", "==", "=", ">", "<", "!=", "("))
_END = ""


def _tokens(text: str) -> list[str]:
    """Cut `text` as upstream's lexer: words, and the longest known symbols."""
    tokens: list[str] = []
    position = 0
    while match := _TOKEN.match(text, position):
        word = match[1]
        position = match.end()
        if word[0] not in "=!(),<>":
            tokens.append(word)
            continue
        while word:
            size = 2 if word[:2] in _SYMBOLS else 1
            tokens.append(word[:size])
            word = word[size:]
    return tokens


class _Parser:
    """Upstream's recursive descent. In the place of a value, `in` and `notin` are ordinary words."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._position = 0

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else _END

    def _next(self) -> str:
        token = self._peek()
        self._position += 1
        return token

    @staticmethod
    def _is_word(token: str) -> bool:
        return token != _END and token not in _SYMBOLS

    def selector(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        while (token := self._peek()) != _END:
            if not self._is_word(token) and token != "!":
                raise BadRequest(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except ValueError as error:
                raise BadRequest(f"unable to parse requirement: {error}") from None
            separator = self._next()
            if separator == _END:
                break
            if separator != ",":
                raise BadRequest(f"found '{separator}', expected: ',' or 'end of string'")
            following = self._peek()
            if not self._is_word(following) and following != "!":
                raise BadRequest(f"found '{following}', expected: identifier after ','")
        return requirements

    def _requirement(self) -> Requirement:
        key = self._next()
        negated = key == "!"
        if negated:
            key = self._next()
        if not self._is_word(key):
            raise ValueError(f"found '{key}', expected: identifier")
        errors = _key_errors(key, "<nil>")
        if errors:
            raise ValueError(errors[0])
        if negated:
            return Requirement(key, "!")
        if self._peek() in (_END, ","):
            return Requirement(key, "exists")
        operator = self._operator()
        values = self._values() if operator in ("in", "notin") else frozenset((self._exact_value(),))
        return _requirement(key, operator, values)

    def _operator(self) -> Operator:
        token = self._next()
        match token:
            case "in" | "notin" | "=" | "==" | "!=" | ">" | "<":
                return token
            case _:
                raise ValueError(f"found '{token}', expected: {_BINARY_OPERATORS}")

    def _exact_value(self) -> str:
        if self._peek() in (_END, ","):
            return ""
        token = self._next()
        if not self._is_word(token):
            raise ValueError(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> frozenset[str]:
        token = self._next()
        if token != "(":
            raise ValueError(f"found '{token}' expected: '('")
        token = self._peek()
        if token == ")":
            self._next()
            return frozenset(("",))
        if not self._is_word(token) and token != ",":
            raise ValueError(f"found '{token}', expected: ',', ')' or identifier")
        values = self._identifiers()
        token = self._next()
        if token != ")":
            raise ValueError(f"found '{token}', expected: ')'")
        return frozenset(values)

    def _identifiers(self) -> set[str]:
        values: set[str] = set()
        while True:
            token = self._next()
            if token == ",":
                if not values:
                    values.add("")
                following = self._peek()
                if following == ")":
                    values.add("")
                    return values
                if following == ",":
                    self._next()
                    values.add("")
            elif self._is_word(token):
                values.add(token)
                following = self._peek()
                if following == ")":
                    return values
                if following != ",":
                    raise ValueError(f"found '{following}', expected: ',' or ')'")
            else:
                raise ValueError(f"found '{token}', expected: ',', or identifier")
