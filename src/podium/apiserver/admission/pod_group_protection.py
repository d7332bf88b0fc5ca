"""PodGroupProtection: a group of pods carries a finalizer, so that it does not vanish before its pods."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns
from podium.apiserver.chain import Attributes
from podium.resources.scheduling.podgroups import PODGROUPS

_FINALIZER = "scheduling.k8s.io/podgroup-protection"


class PodGroupProtection(Plugin):
    name = "PodGroupProtection"
    resources = (PODGROUPS,)

    async def admit(self, attributes: Attributes) -> None:
        group = concerns(attributes, PODGROUPS, "CREATE")
        if group is None:
            return
        finalizers = group["metadata"].get("finalizers") or []
        if _FINALIZER not in finalizers:
            group["metadata"]["finalizers"] = [*finalizers, _FINALIZER]
