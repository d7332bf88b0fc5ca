"""The columns that admission policies of both kinds show."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.defaulting import given
from podium.resources.printing import UNSET, selector_text, spec


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
    return UNSET if selector is None else selector_text(selector)
