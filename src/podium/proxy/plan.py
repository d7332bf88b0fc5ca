"""What each service port means on this node: which addresses lead to which endpoints. Pure.

Upstream: pkg/proxy, for the choice of endpoints by traffic policy, readiness, locality (KEP-2086, KEP-1669).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from podium.machinery import meta
from podium.machinery.errors import Object

OTHER_PROXY_LABEL = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where traffic ends: a pod's address and port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePort:
    """One port of one service, with the endpoints that this node sends its traffic to."""

    namespace: str
    service: str
    name: str
    protocol: str
    """`tcp`, `udp` or `sctp`, as packet filters write it."""
    port: int
    cluster_ip: str
    external_addresses: tuple[str, ...] = ()
    """Load balancer and external IPs."""
    node_port: int = 0
    affinity_s: int = 0
    """How long a client stays with its endpoint; 0: no affinity."""
    local_only: bool = False
    """Outside traffic must end on this node (externalTrafficPolicy: Local), with its source preserved."""
    endpoints: tuple[Endpoint, ...] = ()
    """For traffic to the cluster IP."""
    external_endpoints: tuple[Endpoint, ...] = ()
    """For traffic from outside the cluster, through node ports and external addresses."""

    @property
    def id(self) -> str:
        """A name for chains and sets, unique in the cluster and readable in a listing."""
        return f"{self.namespace}/{self.service}/{self.protocol}/{self.name or self.port}"


def service_key_of_slice(endpoint_slice: Object) -> str | None:
    """Return the key of the service an EndpointSlice belongs to, or None when no proxy should look at it."""
    labels = meta.labels(endpoint_slice)
    service = labels.get(SERVICE_NAME_LABEL)
    if not service or endpoint_slice.get("addressType") != "IPv4":
        return None
    return f"{meta.namespace(endpoint_slice)}/{service}"


def service_ports(service: Object | None, slices: Iterable[Object], *, node: str) -> tuple[ServicePort, ...]:
    """Return what node `node` must do for `service`, one value for each of its ports."""
    if service is None or not _is_ours(service):
        return ()
    spec = service["spec"]
    cluster_ip = next((ip for ip in spec.get("clusterIPs") or [spec["clusterIP"]] if ":" not in ip), "")
    if not cluster_ip:
        return ()
    candidates = list(_candidates(slices))
    external_local = spec.get("externalTrafficPolicy") == "Local"
    internal_local = spec.get("internalTrafficPolicy") == "Local"
    ports = []
    for port in spec.get("ports") or ():
        name = port.get("name", "")
        everywhere = _choose(c for c in candidates if c.port_name == name)
        here = _choose(c for c in candidates if c.port_name == name and c.node == node)
        ports.append(
            ServicePort(
                namespace=meta.namespace(service),
                service=meta.name(service),
                name=name,
                protocol=port.get("protocol", "TCP").lower(),
                port=port["port"],
                cluster_ip=cluster_ip,
                external_addresses=_external_addresses(service),
                node_port=port.get("nodePort", 0),
                affinity_s=_affinity_s(spec),
                local_only=external_local,
                endpoints=here if internal_local else everywhere,
                external_endpoints=here if external_local else everywhere,
            )
        )
    return tuple(ports)


def _is_ours(service: Object) -> bool:
    labels = meta.labels(service)
    spec = service.get("spec", {})
    return (
        spec.get("type") != "ExternalName"
        and spec.get("clusterIP") not in {None, "", "None"}
        and OTHER_PROXY_LABEL not in labels
        and HEADLESS_LABEL not in labels
    )


def _external_addresses(service: Object) -> tuple[str, ...]:
    addresses = list(service["spec"].get("externalIPs") or ())
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or ()
    # ipMode Proxy: the balancer delivers to node ports, so its address is not ours to answer.
    addresses += [i["ip"] for i in ingress if i.get("ip") and i.get("ipMode", "VIP") == "VIP"]
    return tuple(sorted({address for address in addresses if ":" not in address}))


def _affinity_s(spec: Object) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(config.get("timeoutSeconds", 10800))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    endpoint: Endpoint
    port_name: str
    node: str
    ready: bool
    serving_while_terminating: bool


def _candidates(slices: Iterable[Object]) -> Iterator[_Candidate]:
    for endpoint_slice in slices:
        ports = [p for p in endpoint_slice.get("ports") or () if p.get("port")]
        for endpoint in endpoint_slice.get("endpoints") or ():
            conditions = endpoint.get("conditions") or {}
            # Absent means yes for readiness, and "as ready" for serving (discovery/v1).
            ready = conditions.get("ready") is not False
            serving = conditions.get("serving", ready) is not False
            terminating = conditions.get("terminating") is True
            for port in ports:
                yield _Candidate(
                    # Upstream uses the first address only.
                    endpoint=Endpoint(endpoint["addresses"][0], port["port"]),
                    port_name=port.get("name") or "",
                    node=endpoint.get("nodeName") or "",
                    ready=ready,
                    serving_while_terminating=serving and terminating,
                )


def _choose(candidates: Iterable[_Candidate]) -> tuple[Endpoint, ...]:
    """Return the ready endpoints; where there are none, those that still serve while they terminate."""
    known = list(candidates)
    ready = {c.endpoint for c in known if c.ready}
    return tuple(sorted(ready or {c.endpoint for c in known if c.serving_while_terminating}))
