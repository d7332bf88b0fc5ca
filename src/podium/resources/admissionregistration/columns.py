"""The columns that admission policies of both kinds show."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.defaulting import given, items
from podium.resources.printing import UNSET, spec


def param_kind(policy: Object) -> str:
    """Return what kind of objects parametrise the policy."""
    kind = given(spec(policy), "paramKind")
    return UNSET if kind is None else f"{kind.get('apiVersion') or ''}/{kind.get('kind') or ''}"


def param_ref(binding: Object) -> str:
    """Return which object parametrises the policy for this binding."""
    reference = given(spec(binding), "paramRef")
    if reference is None:
        return UNSET
    if reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{reference['name']}"
    selector = given(reference, "selector")
    return UNSET if selector is None else _dumped(selector)


def _dumped(selector: Object) -> str:
    """Return a selector as Go prints the structure, which is what upstream's column shows."""
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{one.get('key') or ''},Operator:{one.get('operator') or ''},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in items(selector, "matchExpressions")
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
