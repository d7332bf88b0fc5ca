"""The base of the plugins: looks away in both hooks, so that each plugin writes only the one it means."""

from __future__ import annotations

from podium.apiserver.chain import Attributes
from podium.machinery.resource import Resource


class Plugin:
    """An admission plugin that does nothing yet."""

    name: str
    resources: tuple[Resource, ...] = ()
    """The only resources, with their subresources, whose writes it looks at; empty: any. A plugin is not even
    asked about others: most plugins care for one resource, and a write should not pay for the rest."""

    async def admit(self, attributes: Attributes) -> None:
        """Look away."""

    async def validate(self, attributes: Attributes) -> None:
        """Look away."""
