"""Endpoints, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import blank, drop_zero, items
from podium.resources.printing import AGE, NAME, NONE, column, joined


def _defaults(endpoints: Object) -> None:
    drop_zero(endpoints, "subsets")
    for subset in items(endpoints, "subsets"):
        for port in items(subset, "ports"):
            blank(port, "protocol", "TCP")
            drop_zero(port, "name")


def _addresses(endpoints: Object) -> str:
    subsets = list(items(endpoints, "subsets"))
    if not subsets:
        return NONE
    listed = []
    for subset in subsets:
        ips = [str(address.get("ip")) for address in items(subset, "addresses")]
        ports = [port.get("port") for port in items(subset, "ports")]
        listed += [_host_port(ip, port) for port in ports for ip in ips] if ports else ips
    return joined(listed)


def _host_port(ip: str, port: object) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


ENDPOINTS = Resource(
    version="v1",
    kind="Endpoints",
    plural="endpoints",
    namespaced=True,
    short_names=("ep",),
    schema="io.k8s.api.core.v1.Endpoints",
    metadata_again=1,
    storage_prefix="services/endpoints",
    create_on_update=True,
    deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    defaults=_defaults,
    columns=(
        NAME,
        column("Endpoints", _addresses),
        AGE,
    ),
    warnings=deferred.warnings("core.warnings", "endpoints_warnings"),
    validate=deferred.check("core.endpoint_validation", "validate_endpoints"),
    validate_update=deferred.update_check("core.endpoint_validation", "validate_endpoints_update"),
)
