"""What a metrics server is to a cluster: an API server of metrics.k8s.io that says what a test wants."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from podium.base.clock import rfc3339
from podium.base.http.message import Headers, Request, Response
from podium.machinery.errors import Object
from tests.apiserver.aggregation.extension import NAMESPACE, SERVICE, Extension

PATH = "/apis/metrics.k8s.io/v1beta1"


@dataclass(slots=True)
class MetricsServer(Extension):
    """It says of each of `pods` (names, by namespace) that its container `main` uses `cpu`."""

    host: str = "0.0.0.0"
    cpu: str = "0"
    pods: dict[str, list[str]] = field(default_factory=dict)

    def manifests(self, address: str) -> list[Object]:
        """What makes a cluster ask this server, at an address of this machine."""
        service = {"name": SERVICE, "namespace": NAMESPACE}
        return [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": service,
                "spec": {"ports": [{"name": "https", "port": 443, "targetPort": self.port}]},
            },
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**service, "labels": {"kubernetes.io/service-name": SERVICE}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [address]}],
                "ports": [{"name": "https", "port": self.port}],
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": "v1beta1.metrics.k8s.io"},
                "spec": {
                    "group": "metrics.k8s.io",
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "service": {**service, "port": 443},
                    "insecureSkipTLSVerify": True,
                },
            },
        ]

    async def _handle(self, request: Request) -> Response:
        if request.path == PATH:
            named = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "PodMetrics"}
            resources = [{**named, "verbs": ["get", "list"]}]
            return _json({"kind": "APIResourceList", "groupVersion": PATH[6:], "resources": resources})
        namespace = request.path.removeprefix(f"{PATH}/namespaces/").removesuffix("/pods")
        if namespace in self.pods:
            return _json({"kind": "PodMetricsList", "apiVersion": PATH[6:], "items": self._items(namespace)})
        return _json({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}, 404)

    def _items(self, namespace: str) -> list[Object]:
        container = {"name": "main", "usage": {"cpu": self.cpu, "memory": "1Mi"}}
        return [
            {
                "metadata": {"name": name, "namespace": namespace},
                "timestamp": rfc3339(datetime.now(UTC)),
                "window": "1s",
                "containers": [container],
            }
            for name in self.pods[namespace]
        ]


def own_address() -> str:
    """Return an address of this machine that may stand in an EndpointSlice, "" where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
        return "" if address.startswith("127.") else address


def _json(value: Object, status: int = 200) -> Response:
    headers = Headers([("content-type", "application/json")])
    return Response(status=status, headers=headers, body=orjson.dumps({"apiVersion": "v1", **value}))
