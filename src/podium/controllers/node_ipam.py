"""Each node gets a range of pod addresses, cut from the cluster's; one of each family, where it has two.

The nodes themselves are the record of what is taken, so nothing is lost with the process. One worker, and
own-write tracking by the runner, make sure that no range is given twice. Upstream: pkg/controller/nodeipam.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.nodes import NODES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

MASK_SIZES: Mapping[int, int] = {4: 24, 6: 64}
"""How many bits a node's range has, by the version of IP."""
_ALL = "nodes"
"""The one key: all nodes are looked at together, so that two can never be given the same range."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(text: str) -> list[Network]:
    """Return the ranges of a comma-separated flag. Raises ValueError."""
    return [ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()]


def plan(
    nodes: Iterable[Object],
    clusters: Sequence[Network],
    sizes: Mapping[int, int],
    services: Sequence[Network],
) -> dict[str, list[str] | None]:
    """Return for each node without ranges one of each of `clusters`, by name; None where one is used up.

    The lowest free range first, older nodes first. Ranges that touch the Services' are left out.
    """
    by_age = sorted(nodes, key=lambda n: (meta.metadata(n).get("creationTimestamp") or "", meta.name(n)))
    taken = [cidr for node in by_age for cidr in _ranges(node)]
    free = [_free(cluster, sizes[cluster.version], taken, services) for cluster in clusters]
    given: dict[str, list[str] | None] = {}
    for node in by_age:
        if not _ranges(node) and not meta.deleting(node):
            found = [next(each, None) for each in free]
            given[meta.name(node)] = None if None in found else [str(one) for one in found]
    return given


def _ranges(node: Object) -> list[str]:
    spec = node.get("spec") or {}
    return list(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else []))


def _free(
    cluster: Network, size: int, taken: Sequence[str], services: Sequence[Network]
) -> Iterator[Network]:
    known = frozenset(taken)
    # Ranges of another size are those of nodes that came while the flag said something else.
    odd = [*services, *(n for n in map(ipaddress.ip_network, taken) if n.prefixlen != size)]
    odd = [network for network in odd if network.version == cluster.version]
    for subnet in cluster.subnets(new_prefix=size):
        if str(subnet) not in known and not any(network.overlaps(subnet) for network in odd):
            yield subnet


def node_ipam(
    cluster_cidrs: str, service_cidrs: str = "", sizes: Mapping[int, int] = MASK_SIZES
) -> Controller:
    """Return the controller that cuts the nodes' ranges from `cluster_cidrs` (comma-separated)."""
    clusters, services = networks(cluster_cidrs), networks(service_cidrs)

    async def reconcile(context: Context, key: str) -> float | None:
        nodes = context.caches[NODES]
        for name, cidrs in plan(nodes.list(), clusters, sizes, services).items():
            node = nodes.get(name)
            if node is None:
                continue
            if cidrs is None:
                _tell(context, node, "CIDRNotAvailable")
                continue
            patch = {"metadata": {"uid": meta.uid(node)}, "spec": {"podCIDR": cidrs[0], "podCIDRs": cidrs}}
            try:
                await context.client.patch(NODES, name, patch, type="strategic")
            except NotFound:
                continue
            except ApiError:
                _tell(context, node, "CIDRAssignmentFailed")
                raise
        return None

    return Controller(
        name="node-ipam-controller",
        component="cidrAllocator",
        service_account="node-controller",
        watches=(Watch(resource=NODES, keys_of=_keys_of_node),),
        reconcile=reconcile,
        workers=1,
    )


def _tell(context: Context, node: Object, what: str) -> None:
    context.recorder.event(node, "Normal", what, f"Node {meta.name(node)} status is now: {what}")


def _keys_of_node(delta: Delta, _caches: Caches) -> Iterable[str]:
    """A node without a range, or one that gives its range back (others may wait for it)."""
    if delta.new is None or not (delta.new.get("spec") or {}).get("podCIDR"):
        return (_ALL,)
    return ()
