"""What a cluster has before anybody makes anything: namespaces, the Service of the API, its addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from datetime import datetime

from podium.base.clock import rfc3339
from podium.machinery.errors import Object

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
SERVICE = "kubernetes"
_SERVICE_PORT = 443

# Who wins when several groups serve a kind of the same name, and in which order clients see groups.
_GROUP_PRIORITY: Mapping[str, int] = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "internal.apiserver.k8s.io": 16000,
    "storagemigration.k8s.io": 15800,
}
_VERSION_PRIORITY: Mapping[tuple[str, str], int] = {
    ("", "v1"): 1,
    ("autoscaling", "v2"): 30,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("resource.k8s.io", "v1"): 21,
    ("resource.k8s.io", "v1beta2"): 15,
    ("admissionregistration.k8s.io", "v1beta1"): 12,
    ("admissionregistration.k8s.io", "v1alpha1"): 9,
    ("coordination.k8s.io", "v1beta1"): 13,
    ("coordination.k8s.io", "v1alpha2"): 12,
    ("discovery.k8s.io", "v1beta1"): 12,
    ("events.k8s.io", "v1beta1"): 5,
    ("flowcontrol.apiserver.k8s.io", "v1beta3"): 18,
    ("flowcontrol.apiserver.k8s.io", "v1beta2"): 15,
    ("flowcontrol.apiserver.k8s.io", "v1beta1"): 12,
    ("internal.apiserver.k8s.io", "v1alpha1"): 9,
    ("scheduling.k8s.io", "v1alpha2"): 2,
    ("autoscaling", "v2beta2"): 1,
}


def namespaces() -> list[Object]:
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        for name in NAMESPACES
    ]


def service_address(service_cidr: str) -> str:
    """Return the address of the API's own Service: the first of the range."""
    return str(ipaddress.ip_network(service_cidr)[1])


def service(service_cidr: str, port: int) -> Object:
    """Return the Service `default/kubernetes`, which leads pods to the API server."""
    address = service_address(service_cidr)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": SERVICE,
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "ports": [{"name": "https", "protocol": "TCP", "port": _SERVICE_PORT, "targetPort": port}],
            "clusterIP": address,
            "clusterIPs": [address],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": [_family(address)],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }


def endpoints(addresses: Iterable[str], port: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "name": SERVICE,
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {
                "addresses": [{"ip": address} for address in sorted(addresses)],
                "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
            }
        ],
    }


def endpoint_slice(addresses: Iterable[str], port: int) -> Object:
    addresses = sorted(addresses)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": SERVICE,
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": SERVICE},
        },
        "addressType": _family(addresses[0]),
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "https", "protocol": "TCP", "port": port}],
    }


def service_cidr(cidr: str, now: datetime) -> Object:
    ready = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": rfc3339(now),
        "reason": "",
        "message": "Kubernetes Service CIDR is ready",
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
        "spec": {"cidrs": [cidr]},
        "status": {"conditions": [ready]},
    }


def ip_address(address: str) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {
            "name": address,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": _family(address),
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": SERVICE}},
    }


def extension_authentication(client_ca_pem: str, front_proxies: Mapping[str, str]) -> Object:
    """Return where extension API servers learn which client certificates and front proxies to trust."""
    data = {"client-ca-file": client_ca_pem} if client_ca_pem else {}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "extension-apiserver-authentication", "namespace": "kube-system"},
        "data": {**data, **front_proxies},
    }


def token_tracking(now: datetime) -> Object:
    """Return since when the use of tokens kept in Secrets is tracked."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "kube-apiserver-legacy-service-account-token-tracking",
            "namespace": "kube-system",
        },
        "data": {"since": now.strftime("%Y-%m-%d")},
    }


def api_services(group_versions: Iterable[tuple[str, str]], now: datetime) -> list[Object]:
    """Return an APIService for each group and version that this server answers itself."""
    return [
        _api_service(group, version, now)
        for group, version in sorted(set(group_versions))
        if group in _GROUP_PRIORITY
    ]


def priorities(group: str, version: str) -> tuple[int, int] | None:
    """Return (group priority, version priority) of a built-in group and version; None of any other."""
    if group not in _GROUP_PRIORITY:
        return None
    usual = 1 if "alpha" in version else 9 if "beta" in version else 15
    return _GROUP_PRIORITY[group], _VERSION_PRIORITY.get((group, version), usual)


def _api_service(group: str, version: str, now: datetime) -> Object:
    spec: Object = {"group": group} if group else {}
    spec["version"] = version
    spec["groupPriorityMinimum"], spec["versionPriority"] = priorities(group, version) or (0, 0)
    available = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": rfc3339(now),
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {
            "name": f"{version}.{group}",
            "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"},
        },
        "spec": spec,
        "status": {"conditions": [available]},
    }


def _family(address: str) -> str:
    return f"IPv{ipaddress.ip_address(address).version}"
