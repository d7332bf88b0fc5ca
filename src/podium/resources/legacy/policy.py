"""PodDisruptionBudget, policy/v1beta1, in which an empty selector selects nothing.

Since policy/v1 it selects everything. Each version says what the other means by it with a selector about a
label that no pod bears.
"""

from __future__ import annotations

from podium.machinery.derived import Package
from podium.machinery.errors import Object
from podium.resources.defaulting import given
from podium.resources.legacy import podsecuritypolicies
from podium.resources.legacy.older import copied, older
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS

PACKAGE = Package(
    name="io.k8s.api.policy.v1beta1",
    group="policy",
    version="v1beta1",
    bases=("io.k8s.api.policy.v1",),
    changes=podsecuritypolicies.changes("io.k8s.api.policy.v1beta1"),
)

_LABEL = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"


def _about_label(operator: str) -> Object:
    return {"matchExpressions": [{"key": _LABEL, "operator": operator}]}


NOTHING_IN_V1 = _about_label("Exists")
EVERYTHING_IN_V1BETA1 = _about_label("DoesNotExist")


def to_v1(budget: Object) -> Object:
    """Return the budget with its selector as policy/v1 understands it."""
    result = copied(budget, "spec")
    spec = given(result, "spec") or {}
    selector = given(spec, "selector")
    if selector is None:
        return result
    if not any(selector.values()):
        spec["selector"] = _about_label("Exists")
    elif selector == EVERYTHING_IN_V1BETA1:
        spec["selector"] = {}
    else:
        _without_label(selector)
    return result


def _without_label(selector: Object) -> None:
    """Take the label out of a selector that somebody has mixed it into, as upstream does."""
    if _LABEL in (selector.get("matchLabels") or {}):
        del selector["matchLabels"][_LABEL]
        if not selector["matchLabels"]:
            del selector["matchLabels"]
    expressions = selector.get("matchExpressions")
    if expressions:
        kept = [one for one in expressions if one.get("key") != _LABEL]
        selector["matchExpressions"] = kept
        if not kept:
            del selector["matchExpressions"]


def from_v1(budget: Object) -> Object:
    """Return the budget with its selector as policy/v1beta1 understands it."""
    result = copied(budget, "spec")
    spec = given(result, "spec") or {}
    selector = given(spec, "selector")
    if selector is None:
        return result
    if selector == NOTHING_IN_V1:
        spec["selector"] = {}
    elif not any(selector.values()):
        spec["selector"] = _about_label("DoesNotExist")
    return result


PODDISRUPTIONBUDGETS_V1BETA1 = older(
    PODDISRUPTIONBUDGETS,
    PACKAGE,
    deprecated=(1, 21),
    removed=(1, 25),
    to_storage=to_v1,
    from_storage=from_v1,
)

PACKAGES = (PACKAGE,)
RESOURCES = (PODDISRUPTIONBUDGETS_V1BETA1, podsecuritypolicies.PODSECURITYPOLICIES)
