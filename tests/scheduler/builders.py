"""Nodes and pods for tests, as short as what matters about them."""

from __future__ import annotations

from typing import Any

from podium.machinery.errors import Object
from podium.scheduler.pod_info import PodInfo, pod_info
from podium.scheduler.snapshot import Snapshot


def node(
    name: str,
    *,
    cpu: str = "4",
    memory: str = "8Gi",
    pods: str = "110",
    labels: dict[str, str] | None = None,
    taints: list[str] | None = None,
    unschedulable: bool = False,
    extra: dict[str, str] | None = None,
) -> Object:
    """Taints are `key=value:Effect` or `key:Effect`; `extra` are further allocatable resources."""
    spec: Object = {}
    if taints:
        spec["taints"] = [taint(text) for text in taints]
    if unschedulable:
        spec["unschedulable"] = True
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": spec,
        "status": {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods, **(extra or {})}},
    }


def taint(text: str) -> Object:
    what, _, effect = text.rpartition(":")
    key, equals, value = what.partition("=")
    return {"key": key, "effect": effect, **({"value": value} if equals else {})}


def container(name: str = "c", **requests: str) -> Object:
    """Underscores in a resource's name stand for dashes."""
    asked = {key.replace("_", "-"): text for key, text in requests.items()}
    return {"name": name, "image": "i", "resources": {"requests": asked} if asked else {}}


def pod(
    name: str = "p",
    *,
    namespace: str = "default",
    uid: str = "",
    owner: str = "",
    labels: dict[str, str] | None = None,
    phase: str = "Pending",
    deleting: bool = False,
    requests: dict[str, str] | None = None,
    **spec: Any,
) -> Object:
    """`owner` is the controller's uid; `spec` goes into the spec as it is."""
    metadata: Object = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}"}
    if labels:
        metadata["labels"] = labels
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        metadata["finalizers"] = ["example.com/keeps-it"]
    if owner:
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner, "controller": True}
        ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "schedulerName": "default-scheduler",
            "containers": [{"name": "c", "image": "i", "resources": {"requests": requests or {}}}],
            **spec,
        },
        "status": {"phase": phase},
    }


def info(name: str = "p", **arguments: Any) -> PodInfo:
    return pod_info(pod(name, **arguments))


def snapshot(*nodes: Object) -> Snapshot:
    made = Snapshot()
    for one in nodes:
        made.set_node(one)
    return made


def place(nodes: Snapshot, node_name: str, *pods: PodInfo) -> None:
    for one in pods:
        nodes.place(one, node_name)
