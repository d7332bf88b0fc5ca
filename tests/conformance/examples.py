"""Objects that the tests make."""

from __future__ import annotations

from typing import Any

from tests.conformance.client import Object

IMAGE = "podium.local/none:1"


def pod_spec(**more: Any) -> Object:
    return {"containers": [{"name": "main", "image": IMAGE}], **more}


def template(labels: dict[str, str], **spec: Any) -> Object:
    return {"metadata": {"labels": labels}, "spec": pod_spec(**spec)}


def pod(name: str, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": pod_spec(**spec)}


def workload(name: str, replicas: int = 1, **spec: Any) -> Object:
    """A Deployment, ReplicaSet or, with a serviceName, a StatefulSet."""
    labels = {"app": name}
    selector = {"matchLabels": labels}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": replicas, "selector": selector, "template": template(labels), **spec},
    }


def replication_controller(name: str, replicas: int = 1) -> Object:
    labels = {"app": name}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"replicas": replicas, "selector": labels, "template": template(labels)},
    }


def daemon_set(name: str) -> Object:
    made = workload(name)
    del made["spec"]["replicas"]
    return made


def job(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"template": ending_template(), **spec}}


def ending_template(seconds: str = "0") -> Object:
    """A pod that a simulated node ends with success after a while."""
    return {
        "metadata": {"annotations": {"podium.dev/simulated-run-seconds": seconds}},
        "spec": pod_spec(restartPolicy="Never"),
    }


def service(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80, "protocol": "TCP"}], **spec}}


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Object:
    return {"metadata": {"name": name, "labels": labels or {}}, "data": data}
