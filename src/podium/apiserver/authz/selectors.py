"""What the selectors of a request require, as authorizers see it.

A selector that cannot be parsed requires nothing here: the decision is then about more objects than the
request could mean. Upstream: endpoints/filters/authorization.go, pkg/registry/authorization/util.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from podium.apiserver.chain import RequestInfo, Selection
from podium.base.caching import KEPT_LENGTH_MAX
from podium.machinery import fields, labels
from podium.machinery.errors import ApiError, Object
from podium.machinery.labels import Operator, Requirement

_NOTHING = Selection()
_VERBS: dict[Operator, str] = {
    "in": "In",
    "=": "In",
    "==": "In",
    "notin": "NotIn",
    "!=": "NotIn",
    "exists": "Exists",
    "!": "DoesNotExist",
}
_FROM_VERB: dict[str, Operator] = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def selection(info: RequestInfo) -> Selection:
    """Return what the selectors of a request require."""
    if info.selection is not None:
        return info.selection
    if not info.field_selector and not info.label_selector:
        return _NOTHING
    long = len(info.field_selector) + len(info.label_selector) > KEPT_LENGTH_MAX
    return (_parsed if long else _kept)(info.field_selector, info.label_selector)


def _parsed(field_selector: str, label_selector: str) -> Selection:
    required_fields, _ = _fields_in(field_selector)
    required_labels, _ = _labels_in(label_selector)
    return Selection(fields=required_fields, labels=required_labels)


_kept = lru_cache(maxsize=1024)(_parsed)


def _fields_in(text: str) -> tuple[tuple[tuple[str, str, str], ...], bool]:
    try:
        return fields.parse(text).requirements, False
    except ApiError:
        return (), True


def _labels_in(text: str) -> tuple[tuple[Requirement, ...], bool]:
    try:
        return labels.parse(text).requirements, False
    except ApiError:
        return (), True


def requires(info: RequestInfo, path: str, value: str) -> bool:
    """Whether the field selector lets only objects through whose `path` is `value`."""
    if not info.field_selector and info.selection is None:
        return False
    return (path, "=", value) in selection(info).fields


# --- selectors in reviews


def of_review(attributes: Object) -> tuple[Selection, list[str]]:
    """Return what the selectors of a review's resourceAttributes require, and what of them was ignored.

    They are valid; what is ignored is what only later versions understand.
    """
    ignored: list[str] = []
    by_fields, failed = _review_fields(attributes.get("fieldSelector") or {})
    if failed:
        ignored.append(_ignored("fieldSelector", partially=bool(by_fields)))
    by_labels, failed = _review_labels(attributes.get("labelSelector") or {})
    if failed:
        ignored.append(_ignored("labelSelector", partially=bool(by_labels)))
    return Selection(fields=tuple(by_fields), labels=tuple(by_labels)), ignored


def _ignored(field: str, *, partially: bool) -> str:
    how = "partially ignored" if partially else "ignored"
    return f"spec.resourceAttributes.{field} {how} due to parse error"


def _review_fields(selector: Object) -> tuple[Sequence[tuple[str, str, str]], bool]:
    if selector.get("rawSelector"):
        return _fields_in(selector["rawSelector"])
    found: list[tuple[str, str, str]] = []
    requirements = selector.get("requirements") or ()
    for one in requirements:
        operator = {"In": "=", "NotIn": "!="}.get(one.get("operator") or "")
        values: list[str] = one.get("values") or []
        if operator is not None and len(values) == 1:
            found.append((one.get("key") or "", operator, values[0]))
    return found, len(found) < len(requirements)


def _review_labels(selector: Object) -> tuple[Sequence[Requirement], bool]:
    if selector.get("rawSelector"):
        return _labels_in(selector["rawSelector"])
    found: list[Requirement] = []
    requirements = selector.get("requirements") or ()
    for one in requirements:
        operator = _FROM_VERB.get(one.get("operator") or "")
        if operator is not None:
            found.append(Requirement(one.get("key") or "", operator, frozenset(one.get("values") or ())))
    return found, len(found) < len(requirements)


def for_review(info: RequestInfo) -> Object:
    """Return the selectors of a request as a review's resourceAttributes carry them."""
    made: Object = {}
    found = selection(info)
    if found.fields:
        requirements = [
            {"key": path, "operator": "In" if operator == "=" else "NotIn", "values": [value]}
            for path, operator, value in found.fields
        ]
        made["fieldSelector"] = {"requirements": requirements}
    by_labels = [
        {"key": one.key, "operator": _VERBS[one.operator]}
        | ({"values": sorted(one.values)} if one.values else {})
        for one in found.labels
        if one.operator in _VERBS
    ]
    if by_labels:
        made["labelSelector"] = {"requirements": by_labels}
    return made
