"""NamespaceAutoProvision: a namespace comes into being when something is created in it."""

from __future__ import annotations

from podium.apiserver.admission.matching import is_namespace
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes, Reader
from podium.machinery.errors import AlreadyExists, ApiError
from podium.resources.core.namespaces import NAMESPACES


class NamespaceAutoProvision(Plugin):
    name = "NamespaceAutoProvision"

    def __init__(self, reader: Reader) -> None:
        self._namespaces = reader.cached(NAMESPACES)

    async def admit(self, attributes: Attributes) -> None:
        # A dry run changes nothing, and so cannot find its namespace either.
        if attributes.operation != "CREATE" or attributes.dry_run:
            return
        if not attributes.namespace or is_namespace(attributes.resource) or attributes.host is None:
            return
        if self._namespaces.get(None, attributes.namespace) is not None:
            return
        try:
            await attributes.host.create(NAMESPACES, {"metadata": {"name": attributes.namespace}})
        except AlreadyExists:
            return
        except ApiError as error:
            raise refused(attributes, error.message) from None
