"""The columns that role bindings of both scopes show."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.defaulting import given, items
from podium.resources.printing import AGE, NAME, column


def _role(binding: Object) -> str:
    role = given(binding, "roleRef") or {}
    return f"{role.get('kind') or ''}/{role.get('name') or ''}"


def _subjects(binding: Object, kind: str) -> str:
    names = []
    for subject in items(binding, "subjects"):
        if subject.get("kind") == kind:
            namespace = f"{subject['namespace']}/" if subject.get("namespace") else ""
            names.append(namespace + str(subject.get("name") or ""))
    return ", ".join(names)


COLUMNS = (
    NAME,
    column("Role", _role),
    AGE,
    column("Users", lambda binding: _subjects(binding, "User"), wide=True),
    column("Groups", lambda binding: _subjects(binding, "Group"), wide=True),
    column("ServiceAccounts", lambda binding: _subjects(binding, "ServiceAccount"), wide=True),
)
