"""What the scheduler keeps of nodes and of placed pods: with thousands of them, most of its memory.

A pod that still waits is kept whole: any part of its spec may be some plugin's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from podium.machinery.errors import Object

_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "labels",
    "ownerReferences",
    "deletionTimestamp",
)
_CONTAINER = ("resources", "restartPolicy")
_POD_SPEC = ("nodeName", "schedulerName", "priority", "overhead", "resources")


def kept_node(node: Object) -> Object:
    """Return a node without its images, addresses and conditions."""
    return {
        "metadata": _parts(node["metadata"], _METADATA),
        "spec": _parts(node.get("spec") or {}, ("taints", "unschedulable")),
        "status": _parts(node.get("status") or {}, ("allocatable",)),
    }


def kept_pod(pod: Object) -> Object:
    """Return of a placed pod what it takes from its node and what it is counted by."""
    spec: Object = pod.get("spec") or {}
    if not spec.get("nodeName"):
        return pod
    kept = _parts(spec, _POD_SPEC)
    for kind in ("containers", "initContainers"):
        if spec.get(kind):
            kept[kind] = [_kept_container(container) for container in spec[kind]]
    return {
        "metadata": _parts(pod["metadata"], _METADATA),
        "spec": kept,
        "status": _parts(pod.get("status") or {}, ("phase",)),
    }


def _kept_container(container: Object) -> Object:
    kept = _parts(container, _CONTAINER)
    ports = [port for port in container.get("ports") or () if port.get("hostPort")]
    return {**kept, "ports": ports} if ports else kept


def _parts(whole: Mapping[str, object], names: Iterable[str]) -> Object:
    return {name: whole[name] for name in names if name in whole}
