"""NodeAffinity: spec.nodeSelector and spec.affinity.nodeAffinity, required and preferred.

Terms are alternatives; the requirements of one term must all hold. A term that is empty, or that upstream
could not parse, matches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from podium.machinery.errors import Object
from podium.scheduler.framework import ClusterEvent, Reason, Rejection, normalized
from podium.scheduler.interner import NOTHING
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Mask, Numbers, Snapshot, Vector

_EVENTS = frozenset((ClusterEvent.NODE_ADDED, ClusterEvent.NODE_CHANGED, ClusterEvent.POD_CHANGED))
_NAME_FIELD = "metadata.name"


class NodeAffinity:
    name = "NodeAffinity"
    weight = 2
    events = _EVENTS

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        return required(pod, nodes)

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        text = "node(s) didn't match Pod's node affinity/selector"
        return Rejection(reasons=(Reason(text=text, rows=rejected),))

    def score(self, pod: PodInfo, nodes: Snapshot, feasible: Mask) -> Vector | None:
        terms = _node_affinity(pod).get("preferredDuringSchedulingIgnoredDuringExecution")
        if not terms:
            return None
        total: Vector = np.zeros(len(nodes.names), np.int64)
        for term in terms:
            matched = _term(term.get("preference") or {}, nodes)
            if matched is not None:
                total += matched * int(term.get("weight") or 0)
        return normalized(total, feasible)


class NodeAffinityNames:
    """The part of NodeAffinity that upstream decides before all filters: terms that name nodes."""

    name = "NodeAffinity"
    events = _EVENTS

    def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
        names = _named_nodes(pod)
        if names is None:
            return None
        passed = np.zeros_like(nodes.valid)
        for name in names:
            row = nodes.row(name)
            if row is not None:
                passed[row] = True
        return passed

    def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
        if not _named_nodes(pod):
            return Rejection(whole_pod="pod affinity terms conflict")
        text = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
        return Rejection(reasons=(Reason(text=text, rows=rejected),))


def required(pod: PodInfo, nodes: Snapshot) -> Mask | None:
    """Return which rows the pod's selector and required affinity allow; None when there are neither."""
    selector: Mapping[str, str] = pod.spec.get("nodeSelector") or {}
    affinity = _required_affinity(pod)
    if not selector and affinity is None:
        return None
    passed = np.ones_like(nodes.valid)
    for key, value in selector.items():
        passed &= _label_in(nodes, key, (value,))
    if affinity is not None:
        alternatives = np.zeros_like(nodes.valid)
        for term in affinity.get("nodeSelectorTerms") or ():
            matched = _term(term, nodes)
            if matched is not None:
                alternatives |= matched
        passed &= alternatives
    return passed


def _node_affinity(pod: PodInfo) -> Object:
    affinity: Object = pod.spec.get("affinity") or {}
    found: Object = affinity.get("nodeAffinity") or {}
    return found


def _required_affinity(pod: PodInfo) -> Object | None:
    found: Object | None = _node_affinity(pod).get("requiredDuringSchedulingIgnoredDuringExecution")
    return found


def _named_nodes(pod: PodInfo) -> set[str] | None:
    """Return the names among which every term chooses; None when some term names no node."""
    terms = (_required_affinity(pod) or {}).get("nodeSelectorTerms")
    if not terms:
        return None
    names: set[str] = set()
    for term in terms:
        fields = [f for f in term.get("matchFields") or () if _names_nodes(f)]
        if not fields:
            return None
        names |= set.intersection(*(set(field.get("values") or ()) for field in fields))
    return names


def _names_nodes(requirement: Object) -> bool:
    return requirement.get("key") == _NAME_FIELD and requirement.get("operator") == "In"


def _term(term: Object, nodes: Snapshot) -> Mask | None:
    """Return the rows that a term matches; None when it can match none at all."""
    expressions: Sequence[Object] = term.get("matchExpressions") or ()
    fields: Sequence[Object] = term.get("matchFields") or ()
    if not expressions and not fields:
        return None
    matched = np.ones_like(nodes.valid)
    for expression in expressions:
        passed = _label_requirement(expression, nodes)
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
    row = nodes.row(values[0]) if requirement.get("key") == _NAME_FIELD else None
    if row is not None:
        named[row] = True
    match requirement.get("operator"):
        case "In":
            return named
        case "NotIn":
            return ~named
        case _:
            return None


def _label_requirement(requirement: Object, nodes: Snapshot) -> Mask | None:
    key = requirement.get("key", "")
    values: Sequence[str] = requirement.get("values") or ()
    operator = requirement.get("operator")
    match operator:
        case "In":
            return _label_in(nodes, key, values) if values else None
        case "NotIn":
            return ~_label_in(nodes, key, values) if values else None
        case "Exists":
            return _label_exists(nodes, key) if not values else None
        case "DoesNotExist":
            return ~_label_exists(nodes, key) if not values else None
        case "Gt" | "Lt":
            limit = _integer(values[0]) if len(values) == 1 else None
            return None if limit is None else _label_compares(nodes, key, limit, above=operator == "Gt")
        case _:
            return None


def _label_in(nodes: Snapshot, key: str, values: Sequence[str]) -> Mask:
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
