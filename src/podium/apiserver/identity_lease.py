"""The Lease by which an API server says that it is there, and the end of those of servers that are not.

Upstream: pkg/controlplane/apiserver, behind the gate APIServerIdentity. The name follows from the host's, so
that a server that is started again takes its Lease over.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from podium.apiserver.chain import LOOPBACK_USER, MASTERS, User
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import create
from podium.apiserver.registry.delete import DeleteOptions, delete
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.served import Served
from podium.apiserver.registry.update import update
from podium.base.clock import parse_rfc3339, rfc3339_micro
from podium.base.ids import new_uid
from podium.base.log import Log
from podium.machinery import meta
from podium.machinery.errors import ApiError, Object

NAMESPACE = "kube-system"
COMPONENT = "apiserver.kubernetes.io/identity"
COMPONENT_NAME = "kube-apiserver"
HOST = "kubernetes.io/hostname"
DURATION_S = 3600
RENEW_S = 10.0
COLLECT_S = 3600.0
_USER = User(name=LOOPBACK_USER, groups=(MASTERS,))
_MANAGER = "kube-apiserver"
_log = Log("podium.apiserver.identity")


def identity_of(host: str) -> str:
    """Return an API server's name among others: `apiserver-` and a digest of its host's name."""
    digest = hashlib.sha256(host.encode()).digest()[:16]
    return "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()


def renewed(current: Object | None, host: str, holder: str, now: datetime) -> Object:
    """Return the Lease of a server on `host` as it is to be written."""
    lease: Object = current or {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": identity_of(host), "namespace": NAMESPACE},
    }
    labels = {**meta.labels(lease), COMPONENT: COMPONENT_NAME, HOST: host}
    spec = {
        **(lease.get("spec") or {}),
        "holderIdentity": holder,
        "leaseDurationSeconds": DURATION_S,
        "renewTime": rfc3339_micro(now),
    }
    return {**lease, "metadata": {**lease["metadata"], "labels": labels}, "spec": spec}


def expired(leases: Iterable[Object], now: datetime) -> list[str]:
    """Return the names of the API servers' leases that nobody has renewed in time."""
    names = []
    for lease in leases:
        if meta.labels(lease).get(COMPONENT) != COMPONENT_NAME or meta.namespace(lease) != NAMESPACE:
            continue
        if _end(lease.get("spec") or {}) < now:
            names.append(meta.name(lease))
    return names


def _end(spec: Object) -> datetime:
    """Return until when a lease holds; one that does not say is over."""
    renewed_at, duration_s = spec.get("renewTime"), spec.get("leaseDurationSeconds")
    if not renewed_at or duration_s is None:
        return datetime.min.replace(tzinfo=UTC)
    return parse_rfc3339(renewed_at) + timedelta(seconds=duration_s)


class IdentityLease:
    """Keeps one server's Lease; `run` also collects others' that have expired."""

    def __init__(self, registry: Registry, leases: Served, host: str) -> None:
        self._registry = registry
        self._leases = leases
        self._host = host
        self._holder = f"{identity_of(host)}_{new_uid()}"

    async def run(self) -> None:
        """Renew and collect, for ever. What fails is tried again at the next turn."""
        clock = self._registry.clock
        collect_at_s = clock.monotonic_s()
        while True:
            try:
                await self._renew()
                if clock.monotonic_s() >= collect_at_s:
                    collect_at_s = clock.monotonic_s() + COLLECT_S
                    await self._collect()
            except ApiError as error:
                _log.warning("the server's lease was not kept", error=error.message)
            await clock.sleep(RENEW_S)

    async def _renew(self) -> None:
        name = identity_of(self._host)
        current = self._get(self._leases.key(NAMESPACE, name))
        lease = renewed(current, self._host, self._holder, self._registry.clock.now())
        write = create if current is None else update
        await write(self._registry, self._call(name), lease)

    async def _collect(self) -> None:
        leases = [lease for key in list(self._leases.root.keys) if (lease := self._get(key)) is not None]
        for name in expired(leases, self._registry.clock.now()):
            await delete(self._registry, self._call(name), DeleteOptions())

    def _call(self, name: str) -> Call:
        return Call(served=self._leases, user=_USER, namespace=NAMESPACE, name=name, field_manager=_MANAGER)

    def _get(self, key: str) -> Object | None:
        entry = self._leases.root.entries.get(key)
        resource = self._leases.resource
        return None if entry is None else entry.shared(resource.kind, resource.api_version)
