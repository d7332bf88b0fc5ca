"""Node selectors as rows: which nodes a NodeSelectorTerm, or one requirement, matches.

A term that is empty, or that upstream could not parse, matches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from podium.machinery.errors import Object
from podium.scheduler.interner import NOTHING
from podium.scheduler.snapshot import Mask, Numbers, Snapshot

NAME_FIELD = "metadata.name"


def any_term(terms: Iterable[Object], nodes: Snapshot) -> Mask:
    """Return the rows that one or more of the terms match."""
    alternatives: Mask = np.zeros_like(nodes.valid)
    for one in terms:
        matched = term(one, nodes)
        if matched is not None:
            alternatives |= matched
    return alternatives


def term(one: Object, nodes: Snapshot) -> Mask | None:
    """Return the rows that a term matches; None when it can match none at all."""
    expressions: Sequence[Object] = one.get("matchExpressions") or ()
    fields: Sequence[Object] = one.get("matchFields") or ()
    if not expressions and not fields:
        return None
    matched = np.ones_like(nodes.valid)
    for expression in expressions:
        passed = label_requirement(expression, nodes)
        if passed is None:
            return None
        matched &= passed
    for field in fields:
        passed = _field_requirement(field, nodes)
        if passed is None:
            return None
        matched &= passed
    return matched


def _field_requirement(requirement: Object, nodes: Snapshot) -> Mask | None:
    values: Sequence[str] = requirement.get("values") or ()
    if len(values) != 1:
        return None
    named = np.zeros_like(nodes.valid)
    row = nodes.row(values[0]) if requirement.get("key") == NAME_FIELD else None
    if row is not None:
        named[row] = True
    match requirement.get("operator"):
        case "In":
            return named
        case "NotIn":
            return ~named
        case _:
            return None


def label_requirement(requirement: Object, nodes: Snapshot) -> Mask | None:
    """Return the rows whose labels are as a requirement wants them; None when none can be."""
    key = requirement.get("key", "")
    values: Sequence[str] = requirement.get("values") or ()
    operator = requirement.get("operator")
    match operator:
        case "In":
            return label_in(nodes, key, values) if values else None
        case "NotIn":
            return ~label_in(nodes, key, values) if values else None
        case "Exists":
            return _label_exists(nodes, key) if not values else None
        case "DoesNotExist":
            return ~_label_exists(nodes, key) if not values else None
        case "Gt" | "Lt":
            limit = _integer(values[0]) if len(values) == 1 else None
            return None if limit is None else _label_compares(nodes, key, limit, above=operator == "Gt")
        case _:
            return None


def label_in(nodes: Snapshot, key: str, values: Sequence[str]) -> Mask:
    """Return the rows whose label is one of the values."""
    column = nodes.label(key)
    if column is None:
        return np.zeros_like(nodes.valid)
    interned = nodes.label_values(key)
    numbers = [number for value in values if (number := interned.find(value)) != NOTHING]
    if len(numbers) == 1:
        matched: Mask = column == numbers[0]
        return matched
    return np.isin(column, np.array(numbers, np.int32))


def _label_exists(nodes: Snapshot, key: str) -> Mask:
    column = nodes.label(key)
    if column is None:
        return np.zeros_like(nodes.valid)
    exists: Mask = column != NOTHING
    return exists


def _label_compares(nodes: Snapshot, key: str, limit: int, *, above: bool) -> Mask:
    column: Numbers | None = nodes.label(key)
    if column is None:
        return np.zeros_like(nodes.valid)
    interned = nodes.label_values(key)
    table = np.zeros(interned.size, np.bool_)
    for number, text in interned.items():
        value = _integer(text)
        table[number] = value is not None and (value > limit if above else value < limit)
    compares: Mask = table[column]
    return compares


def _integer(text: str) -> int | None:
    """Return the number that Go's ParseInt reads (base 10, 64 bits), else None."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None
