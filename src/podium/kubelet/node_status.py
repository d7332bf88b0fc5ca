"""How this node looks in the API: labels, capacity, addresses, conditions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from podium.base.clock import rfc3339
from podium.kubelet.cri.runtime import Image
from podium.kubelet.machine import Machine, Pressure
from podium.machinery.errors import Object

KUBELET_VERSION = "v1.36.2"
PODS_MAX = 110
MEMORY_FREE_BYTES_MIN = 100 * 1024 * 1024
DISK_FREE_SHARE_MIN = 0.05
"""Below upstream's 10 %: development machines have full disks, and nothing is evicted here."""
PIDS_FREE_SHARE_MIN = 0.05
IMAGES_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What the kubelet was told and found out about its node."""

    name: str
    ips: tuple[str, ...]
    port: int
    machine: Machine
    runtime_version: str
    external_cloud: bool = False
    """A cloud-controller-manager says what the node is, and where (`--cloud-provider=external`)."""


def labels(facts: NodeFacts) -> dict[str, str]:
    architecture = facts.machine.architecture
    return {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": "linux",
    }


def node_object(facts: NodeFacts) -> Object:
    """Return the Node that the kubelet registers."""
    annotations = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
    spec: Object = {}
    if facts.external_cloud:
        annotations["alpha.kubernetes.io/provided-node-ip"] = ",".join(facts.ips)
        # Keeps pods away until the cloud-controller-manager takes it off.
        taint = "node.cloudprovider.kubernetes.io/uninitialized"
        spec["taints"] = [{"key": taint, "value": "true", "effect": "NoSchedule"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": facts.name,
            "labels": labels(facts),
            "annotations": annotations,
        },
        "spec": spec,
    }


def capacity(machine: Machine) -> dict[str, str]:
    return {
        "cpu": str(machine.cpus),
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "pods": str(PODS_MAX),
    }


def allocatable(machine: Machine) -> dict[str, str]:
    """Return what pods may have: all but what would bring the node under pressure."""
    return {
        **capacity(machine),
        "ephemeral-storage": str(int(machine.disk_bytes * 0.9)),
        "memory": f"{max(0, machine.memory_bytes - MEMORY_FREE_BYTES_MIN) // 1024}Ki",
    }


def node_status(
    facts: NodeFacts,
    conditions: Sequence[Object],
    images: Sequence[Image],
) -> Object:
    """Return the whole status."""
    machine = facts.machine
    addresses = [{"type": "InternalIP", "address": ip} for ip in facts.ips]
    return {
        "addresses": [*addresses, {"type": "Hostname", "address": facts.name}],
        "allocatable": allocatable(machine),
        "capacity": capacity(machine),
        "conditions": list(conditions),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": facts.port}},
        "images": image_entries(images),
        "nodeInfo": {
            "architecture": machine.architecture,
            "bootID": machine.boot_id,
            "containerRuntimeVersion": facts.runtime_version,
            "kernelVersion": machine.kernel,
            "kubeProxyVersion": "",
            "kubeletVersion": KUBELET_VERSION,
            "machineID": machine.machine_id,
            "operatingSystem": "linux",
            "osImage": machine.os_image,
            "systemUUID": machine.system_uuid,
        },
    }


def image_entries(images: Sequence[Image]) -> list[Object]:
    """Return the largest images, as upstream: digests before tags."""
    largest = sorted(images, key=lambda image: (-image.size_bytes, image.id))[:IMAGES_MAX]
    return [
        {"names": [*image.digests, *image.tags], "sizeBytes": image.size_bytes}
        for image in largest
        if image.digests or image.tags
    ]


def conditions(
    pressure: Pressure, not_ready: Sequence[str], old: Sequence[Object], now: datetime
) -> list[Object]:
    """Return the node's conditions; `not_ready` says what keeps it from being ready."""
    memory = pressure.memory_available_bytes < MEMORY_FREE_BYTES_MIN
    disk = pressure.disk_free_share < DISK_FREE_SHARE_MIN
    pids = pressure.pids_free_share < PIDS_FREE_SHARE_MIN
    wanted = [
        _condition(
            "MemoryPressure",
            memory,
            ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        _condition(
            "DiskPressure",
            disk,
            ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ),
        _condition(
            "PIDPressure",
            pids,
            ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
            ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ),
        _condition(
            "Ready",
            not not_ready,
            ("KubeletReady", "kubelet is posting ready status"),
            ("KubeletNotReady", _aggregated(not_ready)),
        ),
    ]
    before = {entry["type"]: entry for entry in old}
    return [_dated(entry, before.get(entry["type"]), now) for entry in wanted]


def _aggregated(messages: Sequence[str]) -> str:
    return messages[0] if len(messages) == 1 else "[" + ", ".join(messages) + "]"


def _condition(type: str, true: bool, yes: tuple[str, str], no: tuple[str, str]) -> Object:
    reason, message = yes if true else no
    return {"type": type, "status": "True" if true else "False", "reason": reason, "message": message}


def _dated(entry: Object, old: Object | None, now: datetime) -> Object:
    changed = old is None or old.get("status") != entry["status"]
    transition = rfc3339(now) if changed or old is None else old.get("lastTransitionTime")
    return {**entry, "lastHeartbeatTime": rfc3339(now), "lastTransitionTime": transition}


def differs(old: Object, new: Object) -> bool:
    """Say whether a status is worth reporting before its time: more than heartbeats changed."""
    return _without_heartbeats(old) != _without_heartbeats(new)


def _without_heartbeats(status: Object) -> Object:
    stripped = [
        {key: value for key, value in entry.items() if key != "lastHeartbeatTime"}
        for entry in status.get("conditions") or ()
    ]
    return {**status, "conditions": stripped}
