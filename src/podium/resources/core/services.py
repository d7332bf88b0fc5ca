"""Service, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource, Subresource
from podium.machinery.validation import dns1123_label_errors
from podium.resources import deferred
from podium.resources.defaulting import absent, blank, child, drop_zero, given, items
from podium.resources.printing import AGE, NAME, NONE, UNKNOWN, column, load_balancer_addresses, map_text
from podium.resources.printing import spec as spec_of
from podium.resources.selecting import fields

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


def _external_ip(service: Object) -> str:
    spec = spec_of(service)
    external = [str(ip) for ip in spec.get("externalIPs") or ()]
    match spec.get("type"):
        case "ClusterIP" | "NodePort":
            return ",".join(external) or NONE
        case "LoadBalancer":
            return ",".join(load_balancer_addresses(service) + external) or "<pending>"
        case "ExternalName":
            return str(spec.get("externalName") or "")
    return UNKNOWN


def _ports(service: Object) -> str:
    texts = []
    for port in items(spec_of(service), "ports"):
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port.get('port')}{node_port}/{port.get('protocol')}")
    return ",".join(texts) or NONE


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
    columns=(
        NAME,
        column("Type", lambda obj: spec_of(obj).get("type") or ""),
        column("Cluster-IP", lambda obj: next(iter(spec_of(obj).get("clusterIPs") or ()), NONE)),
        column("External-IP", _external_ip),
        column("Port(s)", _ports),
        AGE,
        column("Selector", lambda obj: map_text(spec_of(obj).get("selector")), wide=True),
    ),
    name_errors=dns1123_label_errors,
    selectable=fields("spec.clusterIP", "spec.type"),
    warnings=deferred.warnings("core.warnings", "service_warnings"),
    validate=deferred.check("core.service_validation", "validate_service"),
    validate_update=deferred.update_check("core.service_validation", "validate_service_update"),
    validate_status_update=deferred.update_check("core.service_validation", "validate_service_status"),
)
