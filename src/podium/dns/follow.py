"""Keeps the zone in step with the cluster, and the cluster told where this server is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from podium.base.backoff import Backoff
from podium.base.log import Log
from podium.client.client import Client
from podium.dns import zone as zones
from podium.dns.zone import Zone
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.runtime.informer import Delta, Informer

SYSTEM_NAMESPACE = "kube-system"
SERVICE = "kube-dns"
DNS_PORT = 53
RETRY = Backoff(initial_s=0.2, max_s=10.0)
_BY_SERVICE = "service"

log = Log("podium-dns")


class Follower:
    """Feeds a zone from informers."""

    def __init__(self, client: Client, zone: Zone) -> None:
        self._zone = zone
        self._services = Informer(client, SERVICES)
        self._slices = Informer(client, ENDPOINTSLICES)
        self._slices.add_index(_BY_SERVICE, _service_key)
        self._namespaces = Informer(client, NAMESPACES)

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        self._services.subscribe(lambda delta: self._update(meta.key(delta.object)))
        self._slices.subscribe(self._slice_changed)
        self._namespaces.subscribe(self._namespace_changed)
        async with asyncio.TaskGroup() as tasks:
            for informer in (self._services, self._slices, self._namespaces):
                tasks.create_task(informer.run())

    async def wait_synced(self) -> None:
        for informer in (self._services, self._slices, self._namespaces):
            await informer.wait_synced()

    def _slice_changed(self, delta: Delta) -> None:
        keys = {key for obj in (delta.old, delta.new) if obj is not None for key in _service_key(obj)}
        for key in keys:
            self._update(key)

    def _update(self, key: str) -> None:
        service = self._services.get(key)
        records = (
            zones.service_records(service, self._slices.by_index(_BY_SERVICE, key), zone=self._zone.name)
            if service is not None
            else {}
        )
        self._zone.replace(key, records)

    def _namespace_changed(self, delta: Delta) -> None:
        if (delta.old is None) != (delta.new is None):
            self._zone.set_namespaces(meta.name(namespace) for namespace in self._namespaces.list())


def _service_key(endpoint_slice: Object) -> Iterable[str]:
    service = meta.labels(endpoint_slice).get(zones.SERVICE_NAME_LABEL)
    return [f"{meta.namespace(endpoint_slice)}/{service}"] if service else []


# ------------------------------------------------------------ the kube-dns Service and its endpoints


def published(*, cluster_ip: str, address: str, port: int) -> list[tuple[Resource, Object]]:
    """Return the objects that lead pods to this server. The Service selects no pods: DNS runs beside them."""
    labels = {
        "k8s-app": SERVICE,
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "PodiumDNS",
    }
    protocols = {"dns": "UDP", "dns-tcp": "TCP"}
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": SYSTEM_NAMESPACE, "labels": labels},
        "spec": {
            "clusterIP": cluster_ip,
            "ports": [
                {"name": name, "port": DNS_PORT, "protocol": protocol, "targetPort": port}
                for name, protocol in protocols.items()
            ],
        },
    }
    ports = [{"name": name, "port": port, "protocol": protocol} for name, protocol in protocols.items()]
    endpoints: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": SERVICE,
            "namespace": SYSTEM_NAMESPACE,
            # The slice below says the same; a mirrored one would double every endpoint.
            "labels": {**labels, "endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{"addresses": [{"ip": address}], "ports": ports}],
    }
    endpoint_slice: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": SERVICE,
            "namespace": SYSTEM_NAMESPACE,
            "labels": {
                zones.SERVICE_NAME_LABEL: SERVICE,
                "endpointslice.kubernetes.io/managed-by": "podium-dns",
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": ports,
    }
    return [(SERVICES, service), (ENDPOINTS, endpoints), (ENDPOINTSLICES, endpoint_slice)]


async def publish(client: Client, objects: Iterable[tuple[Resource, Object]]) -> None:
    """Create or correct the objects that lead to this server; tries until the API server agrees."""
    for resource, wanted in objects:
        failures = 0
        while True:
            try:
                await _ensure(client, resource, wanted)
                break
            except (ApiError, ConnectionError, TimeoutError, OSError) as error:
                failures += 1
                log.warning("not published", kind=wanted["kind"], failures=failures, error=error)
                await asyncio.sleep(RETRY.delay_s(failures))


async def _ensure(client: Client, resource: Resource, wanted: Object) -> None:
    name, namespace = meta.name(wanted), meta.namespace(wanted)
    try:
        current = await client.get(resource, name, namespace)
    except NotFound:
        try:
            await client.create(resource, wanted)
        except AlreadyExists:
            raise Conflict(f"{resource.group_plural} {name} was created meanwhile") from None
        return
    fields = {
        field: value for field, value in wanted.items() if field not in {"metadata", "kind", "apiVersion"}
    }
    if all(_contains(current.get(field), value) for field, value in fields.items()):
        return
    await client.patch(resource, name, fields, namespace, type="merge")


def _contains(have: object, want: object) -> bool:
    """Tell whether `have` says everything that `want` does (it may say more: defaults)."""
    if isinstance(want, dict):
        return isinstance(have, dict) and all(_contains(have.get(k), v) for k, v in want.items())
    if isinstance(want, list):
        return (
            isinstance(have, list)
            and len(have) == len(want)
            and all(_contains(h, w) for h, w in zip(have, want, strict=True))
        )
    return have == want
