"""DenyServiceExternalIPs: no Service gets external addresses that it does not have yet."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused
from podium.apiserver.chain import Attributes
from podium.machinery.errors import Object
from podium.resources.core.services import SERVICES


class DenyServiceExternalIPs(Plugin):
    name = "DenyServiceExternalIPs"
    resources = (SERVICES,)

    async def validate(self, attributes: Attributes) -> None:
        service = concerns(attributes, SERVICES, "CREATE", "UPDATE")
        if service is not None and _addresses(service) - _addresses(attributes.old_object or {}):
            raise refused(attributes, "Use of external IPs is denied by admission control")


def _addresses(service: Object) -> set[str]:
    return set((service.get("spec") or {}).get("externalIPs") or ())
