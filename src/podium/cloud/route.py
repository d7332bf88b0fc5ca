"""The network between the nodes is given routes to their pods. Upstream: cloud-provider controllers/route.

All nodes are looked at together, each period. Whether a node's routes are there is told by its condition
NetworkUnavailable, from which comes a taint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from podium.base.clock import rfc3339
from podium.base.log import Log
from podium.base.metrics import Registry
from podium.cloud.interface import Route, Routes
from podium.cloud.metrics import CloudMetrics
from podium.cloud.route_plan import Network, plan, pod_cidrs
from podium.machinery import meta
from podium.machinery.errors import ApiError, Object
from podium.resources.core.nodes import NODES
from podium.runtime.controller import Context, Controller, Failed, Watch

RECONCILIATION_PERIOD_S = 10.0
CALLS_MAX = 200
"""How many calls to the provider are under way at once."""
_ALL = "routes"

_log = Log("podium.cloud.route")


def node_route(
    routes: Routes,
    cluster: str,
    cluster_cidrs: Sequence[Network],
    *,
    period_s: float = RECONCILIATION_PERIOD_S,
    metrics: CloudMetrics | None = None,
) -> Controller:
    """Return the controller."""
    counted = metrics or CloudMetrics(Registry())

    async def reconcile(context: Context, _key: str) -> float | None:
        counted.route_syncs.inc()
        await RoundOfRoutes(routes, cluster, context).run(cluster_cidrs)
        return period_s

    return Controller(
        name="node-route-controller",
        component="route_controller",
        service_account="route-controller",
        watches=(Watch(resource=NODES),),
        reconcile=reconcile,
        workers=1,
        on_start=lambda context: context.queue.add(_ALL),
    )


class RoundOfRoutes:
    """One look at all routes."""

    def __init__(self, routes: Routes, cluster: str, context: Context) -> None:
        self._routes = routes
        self._cluster = cluster
        self._context = context
        self._calls = asyncio.Semaphore(CALLS_MAX)
        self._missing: set[str] = set()
        """Nodes one of whose routes could not be made."""

    async def run(self, cluster_cidrs: Sequence[Network]) -> None:
        try:
            existing = await self._routes.list(self._cluster)
        except Exception as error:
            raise Failed(f"couldn't reconcile node routes: error listing routes: {error}") from error
        nodes = self._context.caches[NODES].list()
        by_name = {meta.name(node): node for node in nodes}
        planned = plan(nodes, existing, cluster_cidrs)
        # One after the other: a route that is made anew must not be deleted again.
        await asyncio.gather(*(self._delete(route) for route in planned.delete))
        await asyncio.gather(*(self._create(route, by_name[route.target_node]) for route in planned.create))
        for node in nodes:
            if pod_cidrs(node):
                await self._tell(node)

    async def _delete(self, route: Route) -> None:
        try:
            async with self._calls:
                await self._routes.delete(self._cluster, route)
        except Exception as error:
            _log.warning("route not deleted", cidr=route.destination_cidr, error=repr(error))

    async def _create(self, route: Route, node: Object) -> None:
        clock = self._context.clock
        began_s = clock.monotonic_s()
        uid, name = meta.uid(node), meta.name(node)
        try:
            async with self._calls:
                await self._routes.create(self._cluster, uid, route)
        except Exception as error:
            self._missing.add(name)
            took_ms = (clock.monotonic_s() - began_s) * 1000
            self._context.recorder.event(
                {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid},
                "Warning",
                "FailedToCreateRoute",
                f"Could not create route {uid} {route.destination_cidr} for node {name}"
                f" after {took_ms:.6g}ms: {error}",
            )

    async def _tell(self, node: Object) -> None:
        wanted = condition(created=meta.name(node) not in self._missing)
        before = meta.find_condition(node, wanted["type"]) or {}
        if (before.get("status"), before.get("reason")) == (wanted["status"], wanted["reason"]):
            return
        now = rfc3339(self._context.clock.now())
        patch = {"status": {"conditions": [{**wanted, "lastHeartbeatTime": now, "lastTransitionTime": now}]}}
        try:
            await self._context.client.patch(
                NODES, meta.name(node), patch, type="strategic", subresource="status"
            )
        except ApiError as error:
            _log.warning("condition not written", node=meta.name(node), error=repr(error))


def condition(*, created: bool) -> Object:
    """Return what a node says of its routes."""
    if created:
        return {
            "type": "NetworkUnavailable",
            "status": "False",
            "reason": "RouteCreated",
            "message": "RouteController created a route",
        }
    return {
        "type": "NetworkUnavailable",
        "status": "True",
        "reason": "NoRouteCreated",
        "message": "RouteController failed to create a route",
    }
