"""Each node gets a range of pod addresses, cut from the cluster's. Upstream: pkg/controller/nodeipam.

The nodes themselves are the record of what is taken, so nothing is lost with the process. One worker, and
own-write tracking by the runner, make sure that no range is given twice.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

_ALL = "nodes"
"""The one key: all nodes are looked at together, so that two can never be given the same range."""


def plan(
    nodes: Iterable[Object], cluster_cidr: str, mask_size: int, service_cidr: str
) -> dict[str, str | None]:
    """Return a range for each node without one, by name; None where there is none left.

    The lowest free range first, older nodes first. Ranges that touch the Services' are left out.
    """
    by_age = sorted(nodes, key=lambda n: (meta.metadata(n).get("creationTimestamp") or "", meta.name(n)))
    taken = {str(node["spec"]["podCIDR"]) for node in by_age if (node.get("spec") or {}).get("podCIDR")}
    services = ipaddress.ip_network(service_cidr) if service_cidr else None
    free = (
        str(subnet)
        for subnet in ipaddress.ip_network(cluster_cidr).subnets(new_prefix=mask_size)
        if str(subnet) not in taken
        and not (services is not None and services.version == subnet.version and services.overlaps(subnet))
    )
    return {
        meta.name(node): next(free, None)
        for node in by_age
        if not (node.get("spec") or {}).get("podCIDR") and not meta.deleting(node)
    }


def node_ipam(cluster_cidr: str, mask_size: int, service_cidr: str) -> Controller:
    """Return the controller that cuts ranges of `mask_size` bits from `cluster_cidr`."""

    async def reconcile(context: Context, key: str) -> float | None:
        nodes = context.caches[NODES]
        for name, cidr in plan(nodes.list(), cluster_cidr, mask_size, service_cidr).items():
            node = nodes.get(name)
            if node is None:
                continue
            if cidr is None:
                context.recorder.event(
                    node, "Normal", "CIDRNotAvailable", f"Node {name} status is now: CIDRNotAvailable"
                )
                continue
            patch = {
                "metadata": {"uid": meta.uid(node)},
                "spec": {"podCIDR": cidr, "podCIDRs": [cidr]},
            }
            await context.client.patch(NODES, name, patch, type="strategic")
        return None

    return Controller(
        name="node-ipam-controller",
        component="cidrAllocator",
        service_account="node-controller",
        watches=(Watch(resource=NODES, keys_of=_keys_of_node),),
        reconcile=reconcile,
        workers=1,
    )


def _keys_of_node(delta: Delta, _caches: Caches) -> Iterable[str]:
    """A node without a range, or one that gives its range back (others may wait for it)."""
    if delta.new is None or not (delta.new.get("spec") or {}).get("podCIDR"):
        return (_ALL,)
    return ()
