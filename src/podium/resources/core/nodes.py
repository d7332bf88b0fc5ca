"""Node, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource, Subresource
from podium.resources import deferred
from podium.resources.defaulting import absent, child, drop_zero, given, round_amounts
from podium.resources.printing import AGE, NAME, NONE, UNKNOWN, column, condition
from podium.resources.printing import spec as spec_of
from podium.resources.printing import status as status_of
from podium.resources.selecting import flag

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
    if spec.get("podCIDR") and (spec.get("podCIDRs") or [""])[0] != spec["podCIDR"]:
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]
    status = child(node, "status")
    round_amounts(status, "capacity", "allocatable")
    if status.get("capacity") and status.get("allocatable") is None:
        status["allocatable"] = dict(status["capacity"])
    absent(child(child(status, "daemonEndpoints"), "kubeletEndpoint"), "Port", 0)
    info = child(status, "nodeInfo")
    for name in _NODE_INFO:
        absent(info, name, "")


_ROLE_PREFIX = "node-role.kubernetes.io/"
_ROLE_LABEL = "kubernetes.io/role"


def _state(node: Object) -> str:
    ready = condition(node, "Ready")
    if ready is None:
        state = "Unknown"
    else:
        state = "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{state},SchedulingDisabled" if spec_of(node).get("unschedulable") else state


def _roles(node: Object) -> str:
    roles = set()
    for key, value in ((node.get("metadata") or {}).get("labels") or {}).items():
        if key.startswith(_ROLE_PREFIX):
            roles.add(key.removeprefix(_ROLE_PREFIX))
        elif key == _ROLE_LABEL:
            roles.add(value)
    return ",".join(sorted(roles - {""})) or NONE


def _prepare_create(node: Object) -> None:
    """Nodes are not configured through the API any more."""
    child(node, "spec").pop("configSource", None)
    child(node, "status").pop("config", None)


def _prepare_update(new: Object, old: Object) -> None:
    if given(old.get("spec") or {}, "configSource") is None:
        child(new, "spec").pop("configSource", None)


def _address(node: Object, kind: str) -> str:
    for address in status_of(node).get("addresses") or ():
        if address.get("type") == kind:
            return str(address.get("address"))
    return NONE


def _info(node: Object, name: str) -> str:
    return str((status_of(node).get("nodeInfo") or {}).get(name) or "")


def _kernel(node: Object) -> str:
    architecture = _info(node, "architecture")
    kernel = _info(node, "kernelVersion") or UNKNOWN
    return f"{kernel} ({architecture})" if architecture else kernel


NODES = Resource(
    version="v1",
    kind="Node",
    plural="nodes",
    namespaced=False,
    short_names=("no",),
    schema="io.k8s.api.core.v1.Node",
    metadata_again=1,
    gated=(Gated(gate="NodeDeclaredFeatures", paths=("status.declaredFeatures",)),),
    storage_prefix="minions",
    status=True,
    subresources=(
        Subresource(
            name="proxy", kind="NodeProxyOptions", verbs=("create", "delete", "get", "patch", "update")
        ),
    ),
    defaults=_defaults,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    columns=(
        NAME,
        column("Status", _state),
        column("Roles", _roles),
        AGE,
        column("Version", lambda obj: _info(obj, "kubeletVersion")),
        column("Internal-IP", lambda obj: _address(obj, "InternalIP"), wide=True),
        column("External-IP", lambda obj: _address(obj, "ExternalIP"), wide=True),
        column("OS-Image", lambda obj: _info(obj, "osImage") or UNKNOWN, wide=True),
        column("Kernel-Version", _kernel, wide=True),
        column("Container-Runtime", lambda obj: _info(obj, "containerRuntimeVersion") or UNKNOWN, wide=True),
    ),
    selectable={"spec.unschedulable": flag("spec.unschedulable")},
    warnings=deferred.warnings("core.warnings", "node_warnings"),
    validate=deferred.check("core.node_validation", "validate_node"),
    validate_update=deferred.update_check("core.node_validation", "validate_node_update"),
    validate_status_update=deferred.update_check("core.node_validation", "validate_node_status"),
)
