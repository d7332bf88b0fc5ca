"""Node, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource, Subresource
from podium.resources.defaulting import absent, child, drop_zero

_NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


def _defaults(node: Object) -> None:
    spec = child(node, "spec")
    drop_zero(spec, "unschedulable", "podCIDR", "podCIDRs", "providerID", "taints")
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]
    status = child(node, "status")
    if status.get("capacity") and status.get("allocatable") is None:
        status["allocatable"] = dict(status["capacity"])
    absent(child(child(status, "daemonEndpoints"), "kubeletEndpoint"), "Port", 0)
    info = child(status, "nodeInfo")
    for name in _NODE_INFO:
        absent(info, name, "")


NODES = Resource(
    version="v1",
    kind="Node",
    plural="nodes",
    namespaced=False,
    short_names=("no",),
    schema="io.k8s.api.core.v1.Node",
    storage_prefix="minions",
    status=True,
    subresources=(
        Subresource(
            name="proxy", kind="NodeProxyOptions", verbs=("create", "delete", "get", "patch", "update")
        ),
    ),
    defaults=_defaults,
)
