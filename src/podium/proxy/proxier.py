"""The proxy's loop: services and endpoints change, the kernel's rules follow.

A change marks its service as dirty; one writer takes all that is dirty, works out those services anew and
applies the difference in one transaction. Changes that arrive while nft runs wait for the next round, so a
storm of them costs few transactions. The set of dirty services is its own bound: a service is in it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from podium.base.backoff import Backoff
from podium.base.clock import Clock, WallClock
from podium.base.log import Log
from podium.client.client import Client
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.proxy import nftables, plan
from podium.proxy.plan import ServicePort
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.runtime.informer import Delta, Informer

RETRY = Backoff(initial_s=0.5, max_s=30.0)
NFT_TIMEOUT_S = 30.0
_BY_SERVICE = "service"

log = Log("kube-proxy")


class NftFailed(Exception):
    """nft refused a transaction; nothing of it is in force."""


async def nft(transaction: str) -> None:
    """Apply a transaction, whole or not at all. Raises NftFailed."""
    process = await asyncio.create_subprocess_exec(
        "nft",
        "-f",
        "-",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(NFT_TIMEOUT_S):
        output, _ = await process.communicate(transaction.encode())
    if process.returncode != 0:
        raise NftFailed(output.decode(errors="replace").strip())


class Proxier:
    """Keeps one nftables table equal to what the cluster's services ask of one node."""

    def __init__(
        self, client: Client, *, node: str, table: str, cluster_cidr: str, clock: Clock | None = None
    ) -> None:
        self._node = node
        self._table = table
        self._cluster_cidr = cluster_cidr
        self._clock = clock or WallClock()
        self._services = Informer(client, SERVICES)
        self._slices = Informer(client, ENDPOINTSLICES)
        self._slices.add_index(_BY_SERVICE, _service_keys)
        self._applied: dict[str, tuple[ServicePort, ...]] = {}
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        self._services.subscribe(lambda delta: self._mark([meta.key(delta.object)]))
        self._slices.subscribe(lambda delta: self._mark(_service_keys_of(delta)))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._services.run())
            tasks.create_task(self._slices.run())
            tasks.create_task(self._keep_applying())

    def _mark(self, keys: Iterable[str]) -> None:
        self._dirty.update(keys)
        self._wake.set()

    async def _keep_applying(self) -> None:
        # Rules from before a restart stay in force until the whole picture is known again.
        await self._services.wait_synced()
        await self._slices.wait_synced()
        failures = 0
        whole = True
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._apply(whole=whole)
                failures, whole = 0, False
            except (NftFailed, OSError, TimeoutError) as error:
                # The table may not be what we think it is: next time, make it anew.
                failures, whole = failures + 1, True
                log.error("rules not applied", table=self._table, failures=failures, error=error)
                await self._clock.sleep(RETRY.delay_s(failures))
                self._wake.set()

    async def _apply(self, *, whole: bool) -> None:
        dirty, self._dirty = self._dirty, set()
        keys = {meta.key(service) for service in self._services.list()} if whole else dirty
        wanted = {key: self._ports(key) for key in keys}
        if whole:
            transaction = nftables.full(
                self._table, self._cluster_cidr, [port for key in sorted(wanted) for port in wanted[key]]
            )
        else:
            before = {key: self._applied.get(key, ()) for key in keys}
            transaction = nftables.diff(self._table, self._cluster_cidr, before, wanted)
        if not transaction:
            return
        await nft(transaction)
        if whole:
            self._applied = {}
        self._applied.update(wanted)
        for key in keys:
            if not self._applied.get(key):
                self._applied.pop(key, None)
        log.info("rules applied", services=len(keys), whole=whole, bytes=len(transaction))

    def _ports(self, key: str) -> tuple[ServicePort, ...]:
        return plan.service_ports(
            self._services.get(key), self._slices.by_index(_BY_SERVICE, key), node=self._node
        )


def _service_keys(endpoint_slice: Object) -> list[str]:
    key = plan.service_key_of_slice(endpoint_slice)
    return [key] if key else []


def _service_keys_of(delta: Delta) -> list[str]:
    # A slice may have moved from one service to another: both are concerned.
    return [key for obj in (delta.old, delta.new) if obj is not None for key in _service_keys(obj)]
