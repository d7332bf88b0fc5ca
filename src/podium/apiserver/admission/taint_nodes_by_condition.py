"""TaintNodesByCondition: a new node takes no pods until it has been seen to be ready."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, spec_of
from podium.apiserver.chain import Attributes
from podium.resources.core.nodes import NODES

TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin):
    name = "TaintNodesByCondition"
    resources = (NODES,)

    async def admit(self, attributes: Attributes) -> None:
        node = concerns(attributes, NODES, "CREATE")
        if node is None:
            return
        spec = spec_of(node)
        taints = spec.get("taints") or []
        if not any(t.get("key") == TAINT["key"] and t.get("effect") == TAINT["effect"] for t in taints):
            spec["taints"] = [*taints, dict(TAINT)]
