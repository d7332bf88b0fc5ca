"""pods/binding: the scheduler's word where a pod shall run."""

from __future__ import annotations

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.body import read_object
from podium.apiserver.http.options import write_options
from podium.apiserver.http.respond import json_value
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import match_namespace
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import failed_precondition, modify
from podium.base.clock import rfc3339
from podium.base.http.message import Request, Response
from podium.machinery.errors import BadRequest, Conflict, FieldError, Object, PlainError
from podium.machinery.meta import deep_copy
from podium.resources.core.pods import PODS

_SCHEMA = "io.k8s.api.core.v1.Binding"
_CLEAR_NOMINATION = "ClearingNominatedNodeNameAfterBinding"
SUCCESS: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


async def bind(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer POST to pods/{name}/binding, and to the older bindings collection."""
    write_options(request, call, "CreateOptions")
    binding = await read_object(registry, call, request, kind="Binding", api_version="v1", schema=_SCHEMA)
    match_namespace(call, binding["metadata"])
    name = binding["metadata"].get("name") or ""
    if info.subresource:
        if name != call.name:
            raise BadRequest("name in URL does not match name in Binding object")
    else:
        call.served, call.name, call.subresource = registry.catalog.of(PODS), name, "binding"
    target: Object = binding.get("target") or {}
    _check_target(name, target)
    attributes = await registry.admit(call, "CREATE", binding)
    await registry.validate(attributes)

    async def transform(old: Object) -> Object:
        pod = bound(call, binding, old, rfc3339(registry.clock.now()))
        if registry.catalog.enabled(_CLEAR_NOMINATION):
            pod["status"].pop("nominatedNodeName", None)
        return pod

    await modify(registry, call, transform, system=True)
    return json_value(SUCCESS, status=201)


def _check_target(name: str, target: Object) -> None:
    errors = []
    if target.get("kind") not in (None, "", "Node"):
        errors.append(FieldError.not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(FieldError.required("target.name"))
    if errors:
        # Upstream passes these on without turning them into an Invalid.
        raise PlainError(str(errors[0]) if len(errors) == 1 else f"[{', '.join(map(str, errors))}]")


def _unfit(pod: Object, name: str) -> str:
    """Return why a pod may not be given a node, "" when it may."""
    spec = pod["spec"]
    if pod["metadata"].get("deletionTimestamp"):
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if spec.get("nodeName"):
        return f'pod {name} is already assigned to node "{spec["nodeName"]}"'
    return f"pod {name} has non-empty .spec.schedulingGates" if spec.get("schedulingGates") else ""


def bound(call: Call, binding: Object, old: Object, now: str) -> Object:
    """Return the pod with its node. Raises `Conflict` for a pod that has one or is being deleted. Pure."""
    node = binding["target"]["name"]
    for key, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        wanted, actual = binding["metadata"].get(key), old["metadata"][key]
        if wanted and wanted != actual:
            raise failed_precondition(call, wanted, actual, what)
    if fault := _unfit(old, call.name):
        raise Conflict.of("pods/binding", "", call.name, fault)
    pod: Object = deep_copy(old)
    pod["spec"]["nodeName"] = node
    for part in ("annotations", "labels"):
        if binding["metadata"].get(part):
            pod["metadata"][part] = {**(pod["metadata"].get(part) or {}), **binding["metadata"][part]}
    status = pod.setdefault("status", {})
    conditions = [one for one in status.get("conditions") or () if one.get("type") != "PodScheduled"]
    scheduled = {
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": now,
    }
    status["conditions"] = [*conditions, scheduled]
    return pod
