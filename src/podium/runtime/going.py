"""Namespaces that are being deleted: nothing can be made in them any more.

While a namespace goes, its controllers would try again after each of its pods to replace what is missing. The
cache of namespaces, where a process keeps one, says beforehand what the API server would answer. It may be
behind: what was refused for that reason is looked at again a little later.
"""

from __future__ import annotations

from podium.machinery import meta
from podium.machinery.errors import Forbidden
from podium.machinery.resource import Resource
from podium.resources.core.namespaces import NAMESPACES
from podium.runtime.informer import Informers


class GoingNamespaces:
    """Answers from the cache of namespaces, if anybody in the process keeps one."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers

    def __call__(self, name: str) -> bool:
        """Tell whether the namespace is being deleted, as far as is known."""
        namespaces = self._informers.find(NAMESPACES)
        namespace = namespaces.get(name) if namespaces is not None else None
        return namespace is not None and meta.deleting(namespace)


def namespace_terminating(resource: Resource, namespace: str) -> Forbidden:
    """Return the error by which the API server refuses a create in such a namespace."""
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = Forbidden.to(resource.plural, resource.group, "", why)
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.details = {**(error.details or {}), "causes": [cause]}
    return error
