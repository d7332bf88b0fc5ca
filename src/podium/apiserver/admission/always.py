"""AlwaysAdmit and AlwaysDeny: neither is of use; upstream still has them, and so clusters may name them."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes

WHY = "admission control is denying all modifications"


class AlwaysAdmit(Plugin):
    """Looks away."""

    name = "AlwaysAdmit"


class AlwaysDeny(Plugin):
    """Refuses everything that the other plugins have let through."""

    name = "AlwaysDeny"

    async def admit(self, attributes: Attributes) -> None:
        raise refused(attributes, WHY)

    async def validate(self, attributes: Attributes) -> None:
        raise refused(attributes, WHY)
