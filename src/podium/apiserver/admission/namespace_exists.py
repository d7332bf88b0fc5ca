"""NamespaceExists: nothing happens in a namespace that is not there. NamespaceLifecycle does more."""

from __future__ import annotations

from podium.apiserver.admission.matching import is_namespace
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.chain import Attributes, Reader
from podium.machinery.errors import NotFound
from podium.resources.core.namespaces import NAMESPACES


class NamespaceExists(Plugin):
    name = "NamespaceExists"

    def __init__(self, reader: Reader) -> None:
        self._namespaces = reader.cached(NAMESPACES)

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation == "CONNECT" or not attributes.namespace or is_namespace(attributes.resource):
            return
        if self._namespaces.get(None, attributes.namespace) is None:
            raise NotFound.of(NAMESPACES.plural, NAMESPACES.group, attributes.namespace)
