"""Autoscalers with everything real: kubectl, the API server, an extension server with metrics behind it."""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
from asyncio import AbstractEventLoop, Event, get_running_loop
from asyncio import run as run_async
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest

from podium.base import pki
from podium.base.http.message import Headers, Request, Response
from podium.base.http.server import Server
from podium.base.pki import KeyPair
from tests.wire.server import Running, controllers, running

GROUPS = {
    "metrics.k8s.io": "v1beta1",
    "custom.metrics.k8s.io": "v1beta2",
    "external.metrics.k8s.io": "v1beta1",
}
NAMESPACE, SERVICE = "kube-system", "metrics"
LONG_AGO = "2026-01-01T00:00:00Z"
TRIES_MAX = 200


@dataclass
class Metrics:
    """The extension server. What it answers is in `answers`, by path."""

    ca: KeyPair
    directory: Path
    answers: dict[str, Any] = field(default_factory=dict)
    port: int = 0

    def start(self) -> Callable[[], None]:
        """Listen; return what stops it."""
        pair = pki.issue(self.ca, common_name="m", dns_names=[f"{SERVICE}.{NAMESPACE}.svc"], server=True)
        (self.directory / "metrics.pem").write_bytes(pair.key_pem + pair.certificate_pem)
        ready = threading.Event()
        ends: list[tuple[AbstractEventLoop, Event]] = []

        async def serve() -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.directory / "metrics.pem")
            server = Server(self._handle)
            await server.start("127.0.0.1", 0, context)
            self.port = server.port
            ends.append((get_running_loop(), Event()))
            ready.set()
            await ends[0][1].wait()
            await server.stop()

        thread = threading.Thread(target=lambda: run_async(serve()), daemon=True)
        thread.start()
        assert ready.wait(10)

        def stop() -> None:
            loop, end = ends[0]
            loop.call_soon_threadsafe(end.set)
            thread.join(10)

        return stop

    async def _handle(self, request: Request) -> Response:
        found = self.answers.get(unquote(request.path))
        if found is None:
            for group, version in GROUPS.items():
                if request.path == f"/apis/{group}/{version}":
                    found = {"kind": "APIResourceList", "groupVersion": f"{group}/{version}", "resources": []}
        headers = Headers([("content-type", "application/json")])
        status = 404 if found is None else 200
        return Response(status=status, headers=headers, body=orjson.dumps(found or {}))


@dataclass
class Cluster:
    server: Running
    metrics: Metrics

    def kubectl(self, *arguments: str, stdin: Any = None) -> str:
        flags = [f"--server={self.server.url}", f"--certificate-authority={self.server.ca_file}"]
        flags += [f"--token={self.server.token}", f"--cache-dir={self.metrics.directory / 'cache'}"]
        done = subprocess.run(
            ["kubectl", *flags, *arguments],
            input="" if stdin is None else json.dumps(stdin),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def autoscaler(self, name: str, until: Callable[[Any], bool]) -> Any:
        """Return an autoscaler once it is as wanted."""
        for _ in range(TRIES_MAX):
            found = json.loads(self.kubectl("get", "hpa", name, "-o", "json"))
            if until(found["status"]):
                return found["status"]
        raise AssertionError(found)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("autoscaling")
    front_ca = pki.create_ca("front-proxy-ca")
    pair = pki.issue(front_ca, common_name="front-proxy-client", client=True)
    (directory / "front.crt").write_bytes(pair.certificate_pem)
    (directory / "front.key").write_bytes(pair.key_pem)
    metrics = Metrics(pki.create_ca("metrics-ca"), directory)
    with ExitStack() as stack:
        stack.callback(metrics.start())
        server = stack.enter_context(
            running(
                directory,
                f"--proxy-client-cert-file={directory / 'front.crt'}",
                f"--proxy-client-key-file={directory / 'front.key'}",
            )
        )
        period = "--horizontal-pod-autoscaler-sync-period=500ms"
        stack.enter_context(controllers(server, directory, period))
        made = Cluster(server, metrics)
        _register(made)
        yield made


def _register(cluster: Cluster) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    objects = [service]
    for group, version in GROUPS.items():
        spec = {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": NAMESPACE, "name": SERVICE, "port": cluster.metrics.port},
            "caBundle": base64.b64encode(cluster.metrics.ca.certificate_pem).decode(),
        }
        objects.append(
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"{version}.{group}"},
                "spec": spec,
            }
        )
    cluster.kubectl("apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": objects})
    cluster.kubectl("wait", "--for=condition=Available", "apiservice", "--all", "--timeout=30s")


def _deployment(cluster: Cluster, name: str) -> str:
    """Make a deployment of one pod, and have it run; return the pod's name."""
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}},
        },
    }
    cluster.kubectl("apply", "-f", "-", stdin=deployment)
    # `kubectl wait` waits for no pods of a selector that has none yet.
    for _ in range(TRIES_MAX):
        found = cluster.kubectl("get", "pods", f"--selector=app={name}", "-o", "name").split()
        if found:
            break
    pod = found[0]
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": LONG_AGO}
    status = {"phase": "Running", "startTime": LONG_AGO, "conditions": [ready]}
    cluster.kubectl("patch", pod, "--subresource=status", "-p", json.dumps({"status": status}))
    return pod.removeprefix("pod/")


def test_a_deployment_is_scaled_by_its_cpu(cluster: Cluster) -> None:
    pod = _deployment(cluster, "web")
    cluster.kubectl("autoscale", "deployment", "web", "--min=1", "--max=10", "--cpu-percent=50")
    without = cluster.autoscaler("web", lambda status: len(status.get("conditions") or ()) > 1)
    active = next(c for c in without["conditions"] if c["type"] == "ScalingActive")
    assert (active["status"], active["reason"]) == ("False", "FailedGetResourceMetric")
    assert active["message"].endswith(
        "unable to fetch metrics from resource metrics API: the server could not find the requested resource "
        "(get pods.metrics.k8s.io)"
    )
    cluster.metrics.answers["/apis/metrics.k8s.io/v1beta1/namespaces/default/pods"] = {
        "kind": "PodMetricsList",
        "items": [
            {
                "metadata": {"name": pod, "namespace": "default"},
                "timestamp": LONG_AGO,
                "window": "15.5s",
                "containers": [{"name": "c", "usage": {"cpu": "150m", "memory": "1Mi"}}],
            }
        ],
    }
    scaled = cluster.autoscaler("web", lambda status: status.get("desiredReplicas") == 3)
    current = {"averageUtilization": 150, "averageValue": "150m"}
    assert scaled["currentMetrics"] == [{"type": "Resource", "resource": {"name": "cpu", "current": current}}]
    assert scaled["lastScaleTime"]
    cluster.kubectl("wait", "--for=jsonpath={.spec.replicas}=3", "deployment/web", "--timeout=30s")
    events = cluster.kubectl("get", "events", "-o", "jsonpath={.items[*].message}")
    assert "New size: 3; reason: cpu resource utilization (percentage of request) above target" in events
    # Two pods are pending and count as idle: there is no more to be had for now.
    assert "cpu: 150%/50%" in cluster.kubectl("get", "hpa", "web")


def test_metrics_of_all_other_kinds(cluster: Cluster) -> None:
    pod = _deployment(cluster, "api")
    metrics = [
        {
            "type": "Pods",
            "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "9"}},
        },
        {
            "type": "Object",
            "object": {
                "metric": {"name": "load"},
                "describedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
                "target": {"type": "Value", "value": "100"},
            },
        },
        {
            "type": "External",
            "external": {
                "metric": {"name": "queue"},
                "target": {"type": "AverageValue", "averageValue": "10"},
            },
        },
    ]
    custom = "/apis/custom.metrics.k8s.io/v1beta2/namespaces/default"
    one = {"timestamp": LONG_AGO, "windowSeconds": 60}
    cluster.metrics.answers |= {
        f"{custom}/pods/*/hits": {"items": [{**one, "describedObject": {"name": pod}, "value": "9"}]},
        f"{custom}/deployments.apps/api/load": {"items": [{**one, "value": "105"}]},
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue": {
            "items": [{**one, "value": "15"}, {**one, "value": "15"}]
        },
    }
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"},
        "maxReplicas": 5,
        "metrics": metrics,
    }
    made = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "api"},
        "spec": spec,
    }
    cluster.kubectl("apply", "-f", "-", stdin=made)
    status = cluster.autoscaler("api", lambda status: status.get("desiredReplicas") == 3)
    assert [m["type"] for m in status["currentMetrics"]] == ["Pods", "Object", "External"]
    assert status["currentMetrics"][0]["pods"]["current"] == {"averageValue": "9"}
    assert status["currentMetrics"][1]["object"]["current"] == {"value": "105"}
    # Over the replicas there were when it was looked at: one, or the three of the next look.
    assert status["currentMetrics"][2]["external"]["current"] in (
        {"averageValue": "30"},
        {"averageValue": "10"},
    )


def test_a_target_without_scale(cluster: Cluster) -> None:
    spec = {
        "scaleTargetRef": {"apiVersion": "x.example.com/v1", "kind": "Thing", "name": "t"},
        "maxReplicas": 2,
    }
    made = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "t"},
        "spec": spec,
    }
    cluster.kubectl("apply", "-f", "-", stdin=made)
    status = cluster.autoscaler("t", lambda status: bool(status.get("conditions")))
    assert status["conditions"][0]["message"] == (
        "the HPA controller was unable to get the target's current scale: "
        'no matches for kind "Thing" in group "x.example.com"'
    )
