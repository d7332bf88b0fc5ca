"""Defaults that role bindings of both scopes share."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.defaulting import blank, child, items

GROUP = "rbac.authorization.k8s.io"


def default_binding(binding: Object) -> None:
    """Fill in the API groups of the role and of users and groups; service accounts are in the core group."""
    blank(child(binding, "roleRef"), "apiGroup", GROUP)
    for subject in items(binding, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            blank(subject, "apiGroup", GROUP)


def default_role(role: Object) -> None:
    """Show the rules even when there are none."""
    role.setdefault("rules", None)
