"""The words of a denial, as upstream says them."""

from __future__ import annotations

from collections.abc import Iterable

from podium.apiserver.chain import RequestInfo, User
from podium.machinery.errors import Forbidden, shown

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""A browser must not find HTML in what somebody has put into a path."""


class Undecided(Exception):
    """Nobody allowed the request, and some authorizer could not decide. The text is the answer's (500)."""

    def __init__(self, target: str, why: str) -> None:
        super().__init__(f"Internal Server Error: {shown(target)}: {why}\n".translate(_MARKUP))


def forbidden(user: User, info: RequestInfo, reason: str = "") -> Forbidden:
    """Return the 403 for a request that no authorizer allowed."""
    why = denial(user, info).translate(_MARKUP)
    if reason:
        why = f"{why}: {reason}"
    # A request for a path names no resource: its fields are empty.
    error = Forbidden.to(info.resource, info.api_group, info.name, why)
    error.headers["x-content-type-options"] = "nosniff"
    return error


def denial(user: User, info: RequestInfo) -> str:
    """Return the sentence that says who cannot do what, and where."""
    who = f"User {shown(user.name)} cannot {info.verb}"
    if not info.is_resource:
        return f"{who} path {shown(info.path)}"
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    where = f"in the namespace {shown(info.namespace)}" if info.namespace else "at the cluster scope"
    return f"{who} resource {shown(resource)} in API group {shown(info.api_group)} {where}"


def aggregate(errors: Iterable[str]) -> str:
    """Return several errors in one text, each once."""
    unique = list(dict.fromkeys(error for error in errors if error))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]" if unique else ""
