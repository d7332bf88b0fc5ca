"""Roles and bindings in one line each."""

from __future__ import annotations

from podium.apiserver.bootstrap.rules import rule
from podium.machinery.errors import Object
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from tests.apiserver.fakes import FakeReader, user

GROUP = "rbac.authorization.k8s.io"

MASTER = user("root", "system:masters")
NODE = user("system:node:n1", "system:nodes")
__all__ = ["GROUP", "MASTER", "NODE", "binding", "granting", "role", "rule", "subject"]


def role(name: str, *rules: Object, namespace: str = "", **fields: object) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {"metadata": metadata, "rules": list(rules), **fields}


def subject(text: str) -> Object:
    """Return a subject from `User:alice`, `Group:dev` or `ServiceAccount:ns/name`."""
    kind, _, name = text.partition(":")
    if kind == "ServiceAccount":
        namespace, _, name = name.partition("/")
        return {"kind": kind, "name": name, "namespace": namespace}
    return {"kind": kind, "apiGroup": GROUP, "name": name}


def binding(name: str, role: str, *subjects: str, namespace: str = "") -> Object:
    """Return a binding to `Role/name` or `ClusterRole/name`."""
    kind, _, role_name = role.partition("/")
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    return {
        "metadata": metadata,
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role_name},
        "subjects": [subject(text) for text in subjects],
    }


def granting(**rules: Object) -> FakeReader:
    """Return a cluster where each user named by a keyword holds that rule everywhere."""
    reader = FakeReader()
    for name, held in rules.items():
        reader.put(CLUSTERROLES, role(name, held))
        reader.put(CLUSTERROLEBINDINGS, binding(name, f"ClusterRole/{name}", f"User:{name}"))
    return reader
