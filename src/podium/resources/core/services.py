"""Service, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource, Subresource
from podium.resources.defaulting import absent, blank, child, drop_zero, given, items

SESSION_TIMEOUT_S = 10800
_CLUSTER_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


def _defaults(service: Object) -> None:
    spec = child(service, "spec")
    blank(spec, "sessionAffinity", "None")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = given(spec, "sessionAffinityConfig") or {}
        if (given(config, "clientIP") or {}).get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": SESSION_TIMEOUT_S}}
    blank(spec, "type", "ClusterIP")
    for port in items(spec, "ports"):
        blank(port, "protocol", "TCP")
        blank(port, "targetPort", port.get("port", 0))
        drop_zero(port, "name", "nodePort")
    drop_zero(spec, "publishNotReadyAddresses", "selector", "externalIPs", "loadBalancerIP", "externalName")
    drop_zero(spec, "loadBalancerSourceRanges", "healthCheckNodePort")
    if reachable_from_outside(spec):
        blank(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] in _CLUSTER_TYPES:
        absent(spec, "internalTrafficPolicy", "Cluster")
    balancer = child(child(service, "status"), "loadBalancer")
    if spec["type"] == "LoadBalancer":
        absent(spec, "allocateLoadBalancerNodePorts", True)
        for ingress in items(balancer, "ingress"):
            if ingress.get("ip"):
                absent(ingress, "ipMode", "VIP")


def reachable_from_outside(spec: Object) -> bool:
    """Say whether the service has an address outside the cluster, so that traffic policies apply."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


SERVICES = Resource(
    version="v1",
    kind="Service",
    plural="services",
    namespaced=True,
    short_names=("svc",),
    categories=("all",),
    schema="io.k8s.api.core.v1.Service",
    storage_prefix="services/specs",
    status=True,
    subresources=(
        Subresource(
            name="proxy", kind="ServiceProxyOptions", verbs=("create", "delete", "get", "patch", "update")
        ),
    ),
    create_on_update=True,
    delete_returns_object=True,
    defaults=_defaults,
)
