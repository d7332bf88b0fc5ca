"""Which routes to the nodes' pods are to go and which are to come. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from podium.cloud.interface import Route
from podium.machinery import meta
from podium.machinery.errors import Object

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    delete: tuple[Route, ...]
    create: tuple[Route, ...]


def plan(nodes: Iterable[Object], routes: Sequence[Route], cluster_cidrs: Sequence[Network]) -> Plan:
    """Compare the routes there are with the pod ranges of the nodes.

    Only routes into `cluster_cidrs` are the cluster's to delete. One that depends on addresses which have
    changed is deleted and made anew.
    """
    wanted = {(meta.name(node), cidr): node for node in nodes for cidr in pod_cidrs(node)}
    good = {
        (route.target_node, route.destination_cidr)
        for route in routes
        if (node := wanted.get((route.target_node, route.destination_cidr))) is not None
        and (not route.by_address or _same(addresses(node), route.target_addresses))
    }
    return Plan(
        delete=tuple(
            route
            for route in routes
            if _is_ours(route, cluster_cidrs)
            and (route.blackhole or (route.target_node, route.destination_cidr) not in good)
        ),
        create=tuple(
            Route(target_node=name, destination_cidr=cidr, target_addresses=addresses(node))
            for (name, cidr), node in wanted.items()
            if (name, cidr) not in good
        ),
    )


def pod_cidrs(node: Object) -> Sequence[str]:
    return (node.get("spec") or {}).get("podCIDRs") or ()


def addresses(node: Object) -> Sequence[Object]:
    return (node.get("status") or {}).get("addresses") or ()


def _same(one: Sequence[Object], other: Sequence[Object]) -> bool:
    def ordered(found: Sequence[Object]) -> list[tuple[str, str]]:
        return sorted((a["type"], a["address"]) for a in found)

    return ordered(one) == ordered(other)


def _is_ours(route: Route, cluster_cidrs: Sequence[Network]) -> bool:
    try:
        target = ipaddress.ip_network(route.destination_cidr, strict=False)
    except ValueError:
        return False
    return any(
        target.network_address in cidr or target.broadcast_address in cidr
        for cidr in cluster_cidrs
        if cidr.version == target.version
    )
