"""The provider of clusters on one machine, or on machines of one's own: addresses from a range.

Where kube-proxy runs it answers for the addresses of load balancers, so an address is all that is needed.
Which Service has which is written in one ConfigMap, at the resourceVersion it was read at: whoever writes
second reads again. So none is given twice, neither after a restart nor by two managers that both believe
to lead. Routes between nodes are kept by Podium's own kube-proxy (`kubelet/node_routes.py`), and here where
the nodes' network namespaces are named (`local_routes.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from podium.client.client import Client
from podium.cloud.interface import Cloud, InstanceMetadata, Setup
from podium.cloud.providers.local_routes import LocalRoutes, parse_namespaces
from podium.cloud.providers.pool import Exhausted, Pool, allocate, held, owner, without
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, Conflict, NotFound, Object
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.services import SERVICES

NAMESPACE = "kube-system"
LEDGER = "podium-load-balancer-addresses"
TRIES_MAX = 20
"""How often a write may come second. Each time, somebody else's has succeeded."""


def local(setup: Setup) -> Cloud:
    """Return the provider; without a range it has no load balancers, without namespaces no routes.

    Raises ValueError.
    """
    try:
        pool = Pool.parse(setup.load_balancer_range)
    except ValueError as error:
        raise ValueError(f"--local-load-balancer-range: {error}") from error
    balancers = LocalLoadBalancers(setup.client, pool) if pool.ranges else None
    try:
        namespaces = parse_namespaces(setup.node_namespaces)
    except ValueError as error:
        raise ValueError(f"--local-node-namespaces: {error}") from error
    return Cloud(
        name="local",
        instances=LocalInstances(),
        load_balancers=balancers,
        routes=LocalRoutes(namespaces) if namespaces else None,
    )


class LocalInstances:
    """Every node is its own instance: who has registered is there."""

    async def exists(self, node: Object) -> bool:
        return True

    async def shutdown(self, node: Object) -> bool:
        return False

    async def metadata(self, node: Object) -> InstanceMetadata:
        return InstanceMetadata(
            provider_id=f"local://{meta.name(node)}",
            instance_type="local",
            addresses=(node.get("status") or {}).get("addresses") or (),
        )


class LocalLoadBalancers:
    """Gives addresses to Services."""

    def __init__(self, client: Client, pool: Pool) -> None:
        self._client = client
        self._pool = pool

    async def get(self, cluster: str, service: Object) -> Object | None:
        addresses = held(_entries(await self._read()), meta.uid(service))
        return _status(addresses) if addresses else None

    async def ensure(self, cluster: str, service: Object, nodes: Sequence[Object]) -> Object:
        chosen: list[str] = []

        def take(ledger: Mapping[str, str]) -> dict[str, str]:
            chosen[:] = allocate(self._pool, ledger, service)
            return {**without(ledger, (meta.uid(service),)), **dict.fromkeys(chosen, owner(service))}

        try:
            await self._change(take)
        except Exhausted:
            if not await self._sweep():
                raise
            await self._change(take)
        return _status(chosen)

    async def update(self, cluster: str, service: Object, nodes: Sequence[Object]) -> None:
        """Every node answers for every address."""

    async def ensure_deleted(self, cluster: str, service: Object) -> None:
        await self._change(lambda ledger: without(ledger, (meta.uid(service),)))

    async def _sweep(self) -> bool:
        """Give back what Services have that are no more (whose finalizer somebody took away)."""
        before = {who.partition(" ")[0] for who in _entries(await self._read()).values()}
        # Listed after the ledger was read: a Service that is in the ledger and not here is gone for good.
        living = {meta.uid(service) for service in (await self._client.list(SERVICES))["items"]}
        if not before - living:
            return False
        await self._change(lambda ledger: without(ledger, before - living))
        return True

    async def _read(self) -> Object | None:
        try:
            return await self._client.get(CONFIGMAPS, LEDGER, NAMESPACE)
        except NotFound:
            return None

    async def _change(self, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        """Replace the ledger by what `change` makes of it, called anew when somebody else was faster."""
        for _ in range(TRIES_MAX):
            found = await self._read()
            before = _entries(found)
            after = change(before)
            if after == before:
                return
            data = {_key(address): who for address, who in sorted(after.items())}
            try:
                if found is None:
                    metadata = {"name": LEDGER, "namespace": NAMESPACE}
                    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
                    await self._client.create(CONFIGMAPS, made)
                else:
                    await self._client.update(CONFIGMAPS, {**found, "data": data})
            except (AlreadyExists, Conflict):
                continue
            return
        raise Exhausted(f"{LEDGER} was changed by others {TRIES_MAX} times in a row")


def _key(address: str) -> str:
    """Return the address as a ConfigMap can name it: without colons."""
    return address.replace(":", "_")


def _entries(found: Object | None) -> dict[str, str]:
    data: Mapping[str, str] = (found or {}).get("data") or {}
    return {key.replace("_", ":"): who for key, who in data.items()}


def _status(addresses: Sequence[str]) -> Object:
    return {"ingress": [{"ip": address, "ipMode": "VIP"} for address in addresses]}
