"""PodResizeValidator: a running pod does not grow beyond what its node has, nor where nodes cannot do it."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.machinery.amounts import pod_amounts
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO, Quantity, parse
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS

OS_LABEL = "kubernetes.io/os"


class PodResizeValidator(Plugin):
    name = "PodResizeValidator"
    resources = (PODS,)

    def __init__(self, reader: Reader) -> None:
        self._nodes = reader.cached(NODES)

    async def validate(self, attributes: Attributes) -> None:
        pod = concerns(attributes, PODS, "UPDATE", subresource="resize")
        if pod is None:
            return
        node_name = meta.dig(pod, "spec", "nodeName")
        if not node_name or meta.generation(pod) == meta.generation(attributes.old_object or {}):
            return
        node = self._nodes.get(None, node_name)
        if node is None:
            raise refused(attributes, f'node "{node_name}" not found')
        system = meta.labels(node).get(OS_LABEL, "linux")
        if system != "linux":
            why = f'pod resize is only supported on linux nodes, node "{node_name}" is "{system}"'
            raise refused(attributes, why, causes=[{"reason": "UnsupportedPlatform"}])
        lacking = lacking_of(pod, node)
        if lacking:
            why = f"node didn't have enough allocatable resources: {lacking}"
            raise refused(attributes, why, causes=[{"reason": "NodeCapacity"}])


def lacking_of(pod: Object, node: Object) -> str:
    """Return which resources the pod asks for and the node has not, "" when it has them."""
    requests = pod_amounts(pod.get("spec") or {}, "requests")
    allocatable = meta.dig(node, "status", "allocatable") or {}
    texts = []
    for name, shown in (("cpu", Quantity.milli), ("memory", Quantity.value)):
        asked, there = requests.get(name, ZERO), parse(allocatable.get(name) or "0")
        if asked > there:
            texts.append(f"{name}, requested: {shown(asked)}, allocatable: {shown(there)}")
    return "; ".join(texts)
