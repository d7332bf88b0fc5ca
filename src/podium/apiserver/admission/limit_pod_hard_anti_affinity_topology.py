"""LimitPodHardAntiAffinityTopology: a pod may keep others from its node, not from a whole zone."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused
from podium.apiserver.chain import Attributes
from podium.machinery import meta
from podium.resources.core.pods import PODS

HOSTNAME = "kubernetes.io/hostname"


class LimitPodHardAntiAffinityTopology(Plugin):
    name = "LimitPodHardAntiAffinityTopology"
    resources = (PODS,)

    async def validate(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "CREATE", "UPDATE")
        if pod is None:
            return
        rules = meta.dig(pod, "spec", "affinity", "podAntiAffinity") or {}
        for term in rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            key = term.get("topologyKey") or ""
            if key != HOSTNAME:
                raise refused(
                    attributes,
                    f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only key "
                    f"{HOSTNAME} is allowed",
                )
