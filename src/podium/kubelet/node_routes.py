"""Routes to the pods of the other nodes, through those nodes' addresses, where they share a link.

Runs in the kube-proxy process: a kubelet may read no Node but its own, kube-proxy may read all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from podium.base.log import Log
from podium.client.client import Client
from podium.kubelet.routes import delete_route, replace_route
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from podium.runtime.informer import Delta, Informer

_log = Log("podium.kubelet.routes")

SIMULATED_LABEL = "podium.dev/simulated"


def wanted_routes(nodes: Iterable[Object], own_name: str) -> dict[str, str]:
    """Return the routes to the pods of the other nodes: pod range -> node address."""
    routes = {}
    for node in nodes:
        if node["metadata"]["name"] == own_name or _is_simulated(node):
            continue
        address = next(
            (
                entry["address"]
                for entry in (node.get("status") or {}).get("addresses") or ()
                if entry["type"] == "InternalIP" and ":" not in entry["address"]
            ),
            None,
        )
        cidr = (node.get("spec") or {}).get("podCIDR")
        if address and cidr and ":" not in cidr:
            routes[cidr] = address
    return routes


def _is_simulated(node: Object) -> bool:
    return (node["metadata"].get("labels") or {}).get(SIMULATED_LABEL) == "true"


class NodeRoutes:
    """Keeps one host route for each other node's pod range. Routes stay when it ends: pods need them."""

    def __init__(self, client: Client, *, node_name: str) -> None:
        self._node_name = node_name
        self._nodes = Informer(client, NODES)
        self._wake = asyncio.Event()
        self._routes: dict[str, str] = {}
        self._refused: dict[str, str] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._nodes.run())
            await self._nodes.wait_synced()
            self._nodes.subscribe(self._on_node)
            while True:
                self._wake.clear()
                self._keep()
                await self._wake.wait()

    def _on_node(self, _delta: Delta) -> None:
        self._wake.set()

    def _keep(self) -> None:
        wanted = wanted_routes(self._nodes.list(), self._node_name)
        for cidr, gateway in list(self._routes.items()):
            if wanted.get(cidr) != gateway:
                with contextlib.suppress(OSError):
                    delete_route(cidr, gateway)
                del self._routes[cidr]
        for cidr, gateway in wanted.items():
            if self._routes.get(cidr) == gateway:
                continue
            try:
                replace_route(cidr, gateway)
            except OSError as error:
                if self._refused.get(cidr) != gateway:
                    _log.warning("no route to the pods of a node", pods=cidr, node=gateway, error=error)
                self._refused[cidr] = gateway
                continue
            self._routes[cidr] = gateway
