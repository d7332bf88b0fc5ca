"""Where a Service is reached from the API server: its own address, or one of its endpoints.

For everything that the API server calls by a Service's name: extension API servers and webhooks. Which of
the two is `--enable-aggregator-routing`: an endpoint needs no kube-proxy on this machine, the Service's own
address does. Upstream: apiserver/pkg/util/proxy, ResolveCluster and ResolveEndpoint.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from podium.apiserver.cacher.cacher import Cacher
from podium.apiserver.cacher.entry import Entry
from podium.apiserver.cacher.root import Root
from podium.machinery.errors import Object
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES

SERVICE_NAME = "kubernetes.io/service-name"
_ROUTED_TYPES = ("ClusterIP", "LoadBalancer", "NodePort")


class Unresolvable(Exception):
    """There is no such Service, or nothing behind it. The text is upstream's."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect to."""

    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


def server_name(namespace: str, name: str) -> str:
    """Return the name that the certificate of what answers for a Service must bear."""
    return f"{name}.{namespace}.svc"


def cluster_address(service: Object, port: int) -> Address:
    """Return a Service's own address. Raises `Unresolvable`."""
    spec = service.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    if kind == "ExternalName":
        return Address(spec.get("externalName") or "", port)
    if kind not in _ROUTED_TYPES:
        raise Unresolvable(f'unsupported service type "{kind}"')
    address = spec.get("clusterIP") or ""
    if kind == "ClusterIP" and address in ("", "None"):
        raise Unresolvable(f'cannot route to service with ClusterIP "{address or "None"}"')
    _port_name(service, port)
    return Address(address, port)


def endpoint_addresses(service: Object, slices: Sequence[Object], port: int) -> list[Address]:
    """Return the ready endpoints of a Service's port, those of its first address family if it has any there.

    Raises `Unresolvable` where there are none.
    """
    spec = service.get("spec") or {}
    kind = spec.get("type") or "ClusterIP"
    if kind not in _ROUTED_TYPES:
        raise Unresolvable(f'unsupported service type "{kind}"')
    wanted = _port_name(service, port)
    families: dict[str, list[Address]] = {}
    for one in slices:
        found = families.setdefault(one.get("addressType") or "", [])
        for endpoint_port in one.get("ports") or ():
            number = endpoint_port.get("port")
            if (endpoint_port.get("name") or "") != wanted or number is None:
                continue
            found += (
                Address(endpoint["addresses"][0], number)
                for endpoint in one.get("endpoints") or ()
                if is_ready(endpoint) and endpoint.get("addresses")
            )
    preferred = next(iter(spec.get("ipFamilies") or ()), "")
    for family in (preferred, *families):
        if families.get(family):
            return families[family]
    raise Unresolvable(f'no endpoints available for service "{service["metadata"]["name"]}"')


def is_ready(endpoint: Object) -> bool:
    """Whether an endpoint takes connections; one that does not say does."""
    return (endpoint.get("conditions") or {}).get("ready") is not False


def _port_name(service: Object, port: int) -> str:
    for one in (service.get("spec") or {}).get("ports") or ():
        if one.get("port") == port:
            return one.get("name") or ""
    name = service["metadata"]["name"]
    raise Unresolvable(f'no service port {port} found for service "{name}"')


class ServiceResolver:
    """Resolves Services by the API server's own cache. A look-up decodes nothing until something changes."""

    def __init__(
        self, cacher: Cacher, *, to_endpoints: bool = False, choose: random.Random | None = None
    ) -> None:
        self._services: Root = cacher.root(SERVICES.storage_root)
        self._slices: Root = cacher.root(ENDPOINTSLICES.storage_root)
        self._to_endpoints = to_endpoints
        self._choose = choose or random.Random()
        self._known: dict[tuple[str, str, int], tuple[tuple[Entry, ...], list[Address]]] = {}

    def service(self, namespace: str, name: str) -> Object | None:
        """Return a Service, shared and read-only."""
        entry = self._services.entries.get(f"{namespace}/{name}")
        return None if entry is None else entry.shared(SERVICES.kind, SERVICES.api_version)

    def slices(self, namespace: str, name: str) -> list[Object]:
        """Return the EndpointSlices of a Service."""
        return [
            entry.passing(ENDPOINTSLICES.kind, ENDPOINTSLICES.api_version)
            for entry in self._slice_entries(namespace, name)
        ]

    def _slice_entries(self, namespace: str, name: str) -> tuple[Entry, ...]:
        return tuple(
            entry for entry in self._slices.range(f"{namespace}/") if entry.labels.get(SERVICE_NAME) == name
        )

    def resolve(self, namespace: str, name: str, port: int) -> Address:
        """Return where to connect to, one endpoint at random where endpoints are asked for.

        Raises `Unresolvable`.
        """
        service_entry = self._services.entries.get(f"{namespace}/{name}")
        if service_entry is None:
            raise Unresolvable(f'service "{name}" not found')
        entries: tuple[Entry, ...] = (service_entry,)
        if self._to_endpoints:
            entries += self._slice_entries(namespace, name)
        key = (namespace, name, port)
        known = self._known.get(key)
        if known is None or known[0] != entries:
            service = service_entry.shared(SERVICES.kind, SERVICES.api_version)
            if self._to_endpoints:
                addresses = endpoint_addresses(service, self.slices(namespace, name), port)
            else:
                addresses = [cluster_address(service, port)]
            if len(self._known) >= 1024:
                self._known.clear()
            known = self._known[key] = (entries, addresses)
        return self._choose.choice(known[1])
