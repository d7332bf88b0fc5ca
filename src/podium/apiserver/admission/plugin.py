"""The base of the plugins: looks away in both hooks, so that each plugin writes only the one it means."""

from __future__ import annotations

from podium.apiserver.chain import Attributes


class Plugin:
    """An admission plugin that does nothing yet."""

    name: str

    async def admit(self, attributes: Attributes) -> None:
        """Look away."""

    async def validate(self, attributes: Attributes) -> None:
        """Look away."""
