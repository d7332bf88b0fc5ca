"""Pod, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource, Subresource
from podium.resources import deferred
from podium.resources.core import pod_columns, pod_spec
from podium.resources.core.pod_create import prepare_pod, profile_warnings
from podium.resources.core.pod_gates import POD_FIELDS, while_off, while_on
from podium.resources.defaulting import child, items
from podium.resources.selecting import field, fields, flag


def _defaults(pod: Object) -> None:
    spec = child(pod, "spec")
    pod_spec.default_pod(spec)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1  # In pods alone: templates keep what they say.
    _agree_on_ip(child(pod, "status"))


def _agree_on_ip(status: Object) -> None:
    """podIP is the first of podIPs; of a kubelet of old, which knew but one, that counts."""
    ip, ips = status.get("podIP"), status.get("podIPs")
    first = ips[0].get("ip") if ips else None
    if ip and ip != first:
        status["podIPs"] = [{"ip": ip}]
    elif first and not ip:
        status["podIP"] = first


def _ip(pod: Object) -> str:
    status = pod.get("status")
    first = next(items(status if isinstance(status, dict) else None, "podIPs"), {})
    return str(first.get("ip") or "")


def _grace_period_s(pod: Object) -> int | None:
    """A pod that runs nowhere, or no longer, goes at once; others when their node says that they have."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    seconds = spec.get("terminationGracePeriodSeconds")
    return int(seconds) if seconds is not None else pod_spec.GRACE_PERIOD_S


_SELECTABLE = fields(
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.nominatedNodeName",
) | {
    "spec.host": field("spec.nodeName"),
    "spec.hostNetwork": flag("spec.hostNetwork"),
    "status.podIP": _ip,
    # Upstream takes this one, and reads nothing.
    "status.podIPs": lambda _pod: "",
}


PODS = Resource(
    version="v1",
    kind="Pod",
    plural="pods",
    namespaced=True,
    short_names=("po",),
    categories=("all",),
    schema="io.k8s.api.core.v1.Pod",
    metadata_again=1,
    gated=POD_FIELDS,
    while_off={
        **while_off("spec"),
        "InPlacePodLevelResourcesVerticalScaling": deferred.gate_check(
            "core.pod_subresources", "without_pod_resources"
        ),
        "UserNamespacesHostNetworkSupport": deferred.gate_check(
            "core.pod_platform_validation", "host_network_of_own_users"
        ),
    },
    while_on=while_on("spec"),
    status=True,
    subresources=(
        Subresource(name="attach", kind="PodAttachOptions", verbs=("create", "get")),
        Subresource(name="binding", kind="Binding", verbs=("create",)),
        Subresource(name="ephemeralcontainers", kind="Pod", verbs=("get", "patch", "update")),
        Subresource(name="eviction", kind="Eviction", verbs=("create",), group="policy", version="v1"),
        Subresource(name="exec", kind="PodExecOptions", verbs=("create", "get")),
        Subresource(name="log", kind="Pod", verbs=("get",)),
        Subresource(name="portforward", kind="PodPortForwardOptions", verbs=("create", "get")),
        Subresource(
            name="proxy", kind="PodProxyOptions", verbs=("create", "delete", "get", "patch", "update")
        ),
        Subresource(name="resize", kind="Pod", verbs=("get", "patch", "update")),
    ),
    generation=True,
    delete_returns_object=True,
    defaults=_defaults,
    columns=pod_columns.COLUMNS,
    row_conditions=pod_columns.row_conditions,
    grace_period_s=_grace_period_s,
    selectable=_SELECTABLE,
    prepare_create=prepare_pod,
    warnings_as_sent=profile_warnings,
    warnings=deferred.warnings("core.pod_warnings", "pod_warnings"),
    validate=deferred.check("core.pod_validation", "validate_new_pod"),
    validate_update=deferred.update_check("core.pod_update", "validate_update"),
    validate_status_update=deferred.update_check("core.pod_status_validation", "validate_status_update"),
    validate_subresources={
        "ephemeralcontainers": deferred.update_check(
            "core.pod_subresources", "validate_ephemeral_containers"
        ),
        "resize": deferred.update_check("core.pod_subresources", "validate_resize"),
    },
)
