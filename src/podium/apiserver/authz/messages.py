"""The words of a denial, as upstream says them."""

from __future__ import annotations

from podium.apiserver.chain import RequestInfo, User
from podium.machinery.errors import Forbidden, shown


def forbidden(user: User, info: RequestInfo, reason: str = "") -> Forbidden:
    """Return the 403 for a request that no authorizer allowed."""
    why = denial(user, info)
    if reason:
        why = f"{why}: {reason}"
    if not info.is_resource:
        return Forbidden.to("", "", "", why)
    return Forbidden.to(info.resource, info.api_group, info.name, why)


def denial(user: User, info: RequestInfo) -> str:
    """Return the sentence that says who cannot do what, and where."""
    who = f"User {shown(user.name)} cannot {info.verb}"
    if not info.is_resource:
        return f"{who} path {shown(info.path)}"
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f"in the namespace {shown(info.namespace)}" if info.namespace else "at the cluster scope"
    return f"{who} resource {shown(resource)} in API group {shown(info.api_group)} {where}"
