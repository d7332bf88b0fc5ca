"""What may be used only where a quota says how much: the configuration of ResourceQuota.

Without a quota that covers it, a write that uses something limited is refused. Upstream:
apiserver/pkg/admission/plugin/resourcequota/apis/resourcequota.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from podium.machinery import meta
from podium.machinery.errors import FieldError, Object, qualified
from podium.machinery.quantity import ZERO
from podium.resources.core.quota_usage import Usage, in_scope

_KINDS = {
    "apiserver.config.k8s.io/v1": "ResourceQuotaConfiguration",
    "resourcequota.admission.k8s.io/v1beta1": "Configuration",
    "resourcequota.admission.k8s.io/v1alpha1": "Configuration",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedResource:
    """One entry of `limitedResources`."""

    resource: str
    """`pods`, `deployments.apps`"""
    contains: Sequence[str] = ()
    """Of an amount whose name contains one of these, nothing may be used without a quota for it."""
    scopes: Sequence[Object] = ()
    """What is in one of these scopes needs a quota of that scope."""


def read(configuration: Object) -> Sequence[LimitedResource]:
    """Return the entries of a configuration. Raises ValueError when it makes no sense."""
    kind, version = configuration.get("kind"), configuration.get("apiVersion")
    if configuration and _KINDS.get(str(version)) != kind:
        raise ValueError(f'no kind "{kind}" is registered for version "{version}"')
    entries = _list(configuration, "limitedResources", dict)
    wrong = [
        FieldError.required(f"limitedResources[{index}].resource")
        for index, entry in enumerate(entries)
        if not entry.get("resource")
    ]
    if wrong:
        raise ValueError("; ".join(map(str, wrong)))
    return [
        LimitedResource(
            resource=qualified(str(entry["resource"]), str(entry.get("apiGroup") or "")),
            contains=_list(entry, "matchContains", str),
            scopes=_list(entry, "matchScopes", dict),
        )
        for entry in entries
    ]


def _list(holder: Object, name: str, kind: type) -> list[Any]:
    found = holder.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, kind) for one in found):
        raise ValueError(f"{name}: must be a list of {'strings' if kind is str else 'objects'}")
    return found


def uncovered(
    limits: Iterable[LimitedResource], group_plural: str, obj: Object, usage: Usage, quotas: Sequence[Object]
) -> str:
    """Return why `obj`, which uses that much, may not be without a further quota; "" when it may.

    `quotas` are all of its namespace.
    """
    limits = list(limits)
    names = {
        name
        for limit in limits
        if limit.resource == group_plural
        for name, amount in usage.items()
        if amount > ZERO and any(part in name for part in limit.contains)
    }
    for quota in quotas:
        scopes = scopes_of(quota)
        if all(in_scope(scope, group_plural, obj) for scope in scopes):
            names -= meta.dig(quota, "status", "hard", default={}).keys()
    if names:
        return f"insufficient quota to consume: {','.join(sorted(names))}"
    asked = [scope for limit in limits for scope in limit.scopes if in_scope(scope, group_plural, obj)]
    covered = {
        scope.get("scopeName")
        for quota in quotas
        for scope in scopes_of(quota)
        if in_scope(scope, group_plural, obj)
    }
    missing = [scope for scope in asked if scope.get("scopeName") not in covered]
    if missing:
        return f"insufficient quota to match these scopes: [{' '.join(map(_shown, missing))}]"
    return ""


def scopes_of(quota: Object) -> list[Object]:
    """Return a quota's scopes as selectors."""
    spec = quota.get("spec") or {}
    plain = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    return plain + list(meta.dig(spec, "scopeSelector", "matchExpressions", default=()))


def _shown(scope: Object) -> str:
    """Return a selector as Go prints it."""
    values = " ".join(scope.get("values") or ())
    return f"{{{scope.get('scopeName') or ''} {scope.get('operator') or ''} [{values}]}}"
