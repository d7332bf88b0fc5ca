"""Keeps this node's Node object and Lease: registers, reports status, renews."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

from podium.base.clock import Clock, rfc3339_micro
from podium.base.log import Log
from podium.client.client import Client
from podium.kubelet.cri.runtime import Image
from podium.kubelet.machine import Pressure
from podium.kubelet.node_status import (
    NodeFacts,
    conditions,
    differs,
    labels,
    node_object,
    node_status,
)
from podium.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound, Object
from podium.resources.coordination.leases import LEASES
from podium.resources.core.nodes import NODES

_log = Log("podium.kubelet.node")

LEASE_NAMESPACE = "kube-node-lease"
LEASE_DURATION_S = 40
LEASE_RENEW_S = 10.0
STATUS_CHECK_S = 10.0
STATUS_REPORT_S = 300.0
RETRY_S = 0.5
_UNREACHABLE = (ApiError, ConnectionError, TimeoutError, OSError)


class NodeReporter:
    """Speaks for one node. `not_ready` returns what keeps it from being ready, nothing when it is."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        facts: NodeFacts,
        *,
        pressure: Callable[[], Pressure],
        not_ready: Callable[[], list[str]],
        images: Callable[[], Awaitable[list[Image]]],
        event: Callable[[str, str], None] = lambda _reason, _message: None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._facts = facts
        self._pressure = pressure
        self._not_ready = not_ready
        self._images = images
        self._event = event
        self._wake = asyncio.Event()
        self._node: Object = {}
        self._reported: Object | None = None
        self._reported_at_s = 0.0
        self.registered = asyncio.Event()

    def wake(self) -> None:
        """Something that the status says may have changed: look now."""
        self._wake.set()

    async def run(self) -> None:
        await self._register()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew_lease())
            group.create_task(self._report())

    async def _register(self) -> None:
        """Create the Node, or take over the one that is there. Tries until it succeeds."""
        failures = 0
        while True:
            try:
                self._node = await self._create_or_adopt()
                break
            except _UNREACHABLE as error:
                failures += 1
                if failures in (1, 20):
                    _log.warning("node not registered yet", node=self._facts.name, error=error)
                await self._clock.sleep(RETRY_S)
        self.registered.set()

    async def _create_or_adopt(self) -> Object:
        wanted = node_object(self._facts)
        try:
            created = await self._client.create(NODES, wanted)
            _log.info("node registered", node=self._facts.name)
            return created
        except AlreadyExists:
            node = await self._client.get(NODES, self._facts.name)
        held = node["metadata"].get("labels") or {}
        if any(held.get(key) != value for key, value in labels(self._facts).items()):
            patch = {"metadata": {"labels": labels(self._facts)}}
            node = await self._client.patch(NODES, self._facts.name, patch, type="strategic")
        return node

    async def _report(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._report_once()
            except NotFound:
                # Someone deleted the Node: this node still is, so it comes again.
                self._reported = None
                await self._register()
                continue
            except _UNREACHABLE as error:
                _log.warning("node status not reported", error=error)
                await self._clock.sleep(RETRY_S)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATUS_CHECK_S):
                    await self._wake.wait()

    def _addresses_are_the_clouds(self) -> bool:
        """With a cloud, the kubelet's own addresses only serve until the cloud has written better ones."""
        if not self._facts.external_cloud:
            return False
        return self._reported is not None or bool((self._node.get("status") or {}).get("addresses"))

    async def _report_once(self) -> None:
        old = (self._reported or self._node.get("status") or {}).get("conditions") or ()
        current = conditions(self._pressure(), self._not_ready(), old, self._clock.now())
        status = node_status(self._facts, current, await self._images())
        now_s = self._clock.monotonic_s()
        due = now_s - self._reported_at_s >= STATUS_REPORT_S
        if self._reported is not None and not due and not differs(self._reported, status):
            return
        patch: Object = dict(status)
        if self._addresses_are_the_clouds():
            del patch["addresses"]
        else:
            # Addresses merge by type: say that these are all.
            patch["addresses"] = [*status["addresses"], {"$patch": "replace"}]
        await self._client.patch(
            NODES, self._facts.name, {"status": patch}, type="strategic", subresource="status"
        )
        self._reported, self._reported_at_s = status, now_s
        before, after = _ready(old), _ready(current)
        if before != after:
            reason = "NodeReady" if after == "True" else "NodeNotReady"
            self._event(reason, f"Node {self._facts.name} status is now: {reason}")

    async def _renew_lease(self) -> None:
        lease: Object | None = None
        while True:
            try:
                lease = await self._renew_once(lease)
            except Conflict:
                lease = None
                continue
            except _UNREACHABLE as error:
                _log.warning("lease not renewed", error=error)
                lease = None
                await self._clock.sleep(1.0)
                continue
            await self._clock.sleep(LEASE_RENEW_S)

    async def _renew_once(self, lease: Object | None) -> Object:
        if lease is None:
            try:
                lease = await self._client.get(LEASES, self._facts.name, LEASE_NAMESPACE)
            except NotFound:
                return await self._client.create(LEASES, self._lease(), LEASE_NAMESPACE)
        fresh = self._lease()
        renewed = {**lease, "spec": {**(lease.get("spec") or {}), **fresh["spec"]}}
        owners = fresh["metadata"]["ownerReferences"]
        if lease["metadata"].get("ownerReferences") != owners:
            renewed["metadata"] = {**lease["metadata"], "ownerReferences": owners}
        return await self._client.update(LEASES, renewed)

    def _lease(self) -> Object:
        return lease_object(self._node, rfc3339_micro(self._clock.now()))


def _ready(conditions: Iterable[Object]) -> str:
    return next((str(entry["status"]) for entry in conditions if entry["type"] == "Ready"), "")


def lease_object(node: Object, renew_time: str) -> Object:
    """Return the lease of a node that lives now."""
    name = node["metadata"]["name"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"].get("uid", "")}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE, "ownerReferences": [owner]},
        "spec": {
            "holderIdentity": name,
            "leaseDurationSeconds": LEASE_DURATION_S,
            "renewTime": renew_time,
        },
    }
