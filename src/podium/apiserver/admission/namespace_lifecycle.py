"""NamespaceLifecycle: objects live in namespaces that exist and are not going away; some namespaces stay."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes, Reader
from podium.machinery.errors import NotFound, Object
from podium.resources.core.namespaces import NAMESPACES

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
# Answers to questions about access say nothing about the namespace they name.
_QUESTIONS = ("authorization.k8s.io", "authentication.k8s.io")


def _is_terminating(namespace: Object) -> bool:
    # Every creation asks.
    if namespace["metadata"].get("deletionTimestamp"):
        return True
    return (namespace.get("status") or {}).get("phase") == "Terminating"


class NamespaceLifecycle(Plugin):
    name = "NamespaceLifecycle"

    def __init__(self, reader: Reader) -> None:
        self._namespaces = reader.cached(NAMESPACES)

    async def admit(self, attributes: Attributes) -> None:
        resource = attributes.resource
        if resource.plural == NAMESPACES.plural and resource.group == NAMESPACES.group:
            if attributes.operation == "DELETE" and attributes.name in IMMORTAL:
                raise refused(attributes, "this namespace may not be deleted")
            return
        if not resource.namespaced or not attributes.namespace or resource.group in _QUESTIONS:
            return
        if attributes.operation not in ("CREATE", "UPDATE"):
            return
        namespace = self._namespaces.get(None, attributes.namespace)
        if namespace is None:
            raise NotFound.of(NAMESPACES.plural, NAMESPACES.group, attributes.namespace)
        if attributes.operation == "CREATE" and _is_terminating(namespace):
            name = attributes.namespace
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {name} is being terminated",
                "field": "metadata.namespace",
            }
            why = f"unable to create new content in namespace {name} because it is being terminated"
            raise refused(attributes, why, causes=[cause])
