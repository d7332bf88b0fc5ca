"""How long kubelets may keep ConfigMaps and Secrets without asking: the longer, the more nodes there are.

Each node's annotation says so. Upstream: pkg/controller/ttl.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.machinery import meta
from podium.machinery.errors import NotFound
from podium.resources.core.nodes import NODES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

ANNOTATION = "node.alpha.kubernetes.io/ttl"
# (least and greatest number of nodes, seconds). The ranges overlap, so that a node that comes and goes does
# not change the annotation of all.
_STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, None, 300))


def step(current: int, nodes: int) -> int:
    """Return the index of the step to be on with this many nodes, coming from step `current`."""
    while (most := _STEPS[current][1]) is not None and nodes > most:
        current += 1
    while nodes < _STEPS[current][0]:
        current -= 1
    return current


def ttl() -> Controller:
    """Return the controller."""
    at = [0]

    async def reconcile(context: Context, key: str) -> float | None:
        node = context.caches[NODES].get(key)
        wanted = str(_STEPS[at[0]][2])
        if node is None or meta.annotations(node).get(ANNOTATION) == wanted:
            return None
        try:
            await context.client.patch(NODES, key, {"metadata": {"annotations": {ANNOTATION: wanted}}})
        except NotFound:
            return None
        return None

    def keys_of_node(delta: Delta, caches: Caches) -> Iterable[str]:
        before, at[0] = at[0], step(at[0], len(caches[NODES]))
        if before != at[0]:
            return [meta.key(node) for node in caches[NODES].list()]
        return (meta.key(delta.object),)

    return Controller(
        name="ttl-controller",
        watches=(Watch(resource=NODES, keys_of=keys_of_node),),
        reconcile=reconcile,
    )
