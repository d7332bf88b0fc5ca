"""PodTopologyLabels: a pod that gets its node gets the node's zone and region as labels, for its own use."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, spec_of
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS

TOPOLOGY = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(Plugin):
    name = "PodTopologyLabels"
    resources = (PODS,)

    def __init__(self, reader: Reader) -> None:
        self._nodes = reader.cached(NODES)

    async def admit(self, attributes: Attributes) -> None:
        binding = concerns(attributes, PODS, "CREATE", subresource="binding")
        if binding is not None:
            # The labels of a Binding become the pod's.
            self._label(binding, meta.dig(binding, "target", "name", default=""))
            return
        pod = concerns(attributes, PODS, "CREATE")
        if pod is not None:
            self._label(pod, spec_of(pod).get("nodeName") or "")

    def _label(self, obj: Object, node_name: str) -> None:
        node = self._nodes.get(None, node_name) if node_name else None
        if node is None:
            return
        held = meta.labels(node)
        copied = {key: held[key] for key in TOPOLOGY if key in held}
        if copied:
            metadata = obj.setdefault("metadata", {})
            metadata["labels"] = {**(metadata.get("labels") or {}), **copied}
