"""Where at the kubelet a pod's exec, attach, port-forward and logs are: pure, with upstream's words for what
is wrong (pkg/registry/core/pod/strategy.go)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from podium.base.clock import parse_rfc3339, rfc3339
from podium.base.http.message import Request
from podium.machinery.errors import ApiError, BadRequest, FieldError, Invalid, Json, NotFound, Object

KUBELET_PORT = 10250
ADDRESS_TYPES = ("InternalIP", "ExternalIP", "InternalDNS", "ExternalDNS", "Hostname")
"""In the order in which a node's addresses are preferred."""

_FALSE = ("0", "false")
_INTEGER = re.compile(r"[+-]?[0-9]+")


class BackendUnreachable(ApiError):
    """The kubelet (or what is proxied to) gave no answer. Upstream gives it no reason."""

    code, reason = 500, ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletAddress:
    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


def kubelet_address(node: Object, address_types: Sequence[str] = ADDRESS_TYPES) -> KubeletAddress:
    """Return where a node's kubelet listens. Raises BackendUnreachable when the node has no address."""
    status: Object = node.get("status") or {}
    by_type: dict[str, str] = {}
    for address in status.get("addresses") or ():
        by_type.setdefault(address.get("type", ""), address.get("address", ""))
    host = next((by_type[kind] for kind in address_types if by_type.get(kind)), "")
    if not host:
        name = node.get("metadata", {}).get("name", "")
        raise BackendUnreachable(
            f"no preferred addresses found; known addresses: {list(by_type.values())} (node {name})"
        )
    endpoint: Object = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
    return KubeletAddress(host=host, port=int(endpoint.get("Port") or KUBELET_PORT))


def node_of(pod: Object, node: Object | None) -> Object:
    """Return the node of a pod. Raises BadRequest for an unbound pod, NotFound when the node is gone."""
    if node is not None:
        return node
    name = (pod.get("spec") or {}).get("nodeName") or ""
    if not name:
        raise BadRequest(f"pod {pod['metadata']['name']} does not have a host assigned")
    raise NotFound.of("nodes", "", name)


def container_name(pod: Object, wanted: str) -> str:
    """Return which container is meant. Raises BadRequest when that is not clear, or there is no such one."""
    spec: Object = pod.get("spec") or {}
    pod_name = pod["metadata"]["name"]
    containers = [c["name"] for c in spec.get("containers") or ()]
    init = [c["name"] for c in spec.get("initContainers") or ()]
    ephemeral = [c["name"] for c in spec.get("ephemeralContainers") or ()]
    if wanted:
        if wanted not in (*containers, *init, *ephemeral):
            raise BadRequest(f"container {wanted} is not valid for pod {pod_name}")
        return wanted
    if len(containers) == 1:
        return str(containers[0])
    message = f"a container name must be specified for pod {pod_name}"
    if containers:
        message += f", choose one of: [{' '.join(containers)}]"
        if init:
            message += f" or one of the init containers: [{' '.join(init)}]"
    raise BadRequest(message)


def _flag(request: Request, name: str) -> bool:
    """Upstream's reading of a boolean parameter: present and not "0" or "false" is true."""
    values = request.query.get(name)
    return bool(values) and values is not None and values[0].lower() not in _FALSE


def _kubelet_path(verb: str, pod: Object, *more: str) -> str:
    meta: Object = pod["metadata"]
    parts = [verb, meta["namespace"], meta["name"], *more]
    return "/" + "/".join(quote(str(part), safe="") for part in parts)


def exec_target(request: Request, pod: Object, verb: str) -> str:
    """Return the kubelet's path and query for `verb`, "exec" or "attach"."""
    container = container_name(pod, request.parameter("container"))
    names = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))
    query = [(theirs, "1") for ours, theirs in names if _flag(request, ours)]
    if verb == "exec":
        query += [("command", word) for word in request.query.get("command", ())]
    return _with_query(_kubelet_path(verb, pod, container), query)


def port_forward_target(request: Request, pod: Object) -> str:
    ports = [p for value in request.query.get("ports", ()) for p in value.split(",") if p]
    query = [("port", ",".join(ports))] if ports else []
    return _with_query(_kubelet_path("portForward", pod), query)


def logs_target(request: Request, pod: Object) -> str:
    """Return the kubelet's path and query for a pod's log. Raises BadRequest and Invalid."""
    query = _logs_query(request, pod)
    container = container_name(pod, request.parameter("container"))
    return _with_query(_kubelet_path("containerLogs", pod, container), query)


def _with_query(path: str, query: list[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _logs_query(request: Request, pod: Object) -> list[tuple[str, str]]:
    since_s = _integer(request, "sinceSeconds")
    tail = _integer(request, "tailLines")
    limit = _integer(request, "limitBytes")
    since = _time(request, "sinceTime")
    errors = []
    if tail is not None and tail < 0:
        errors.append(FieldError.invalid("tailLines", tail, "must be greater than or equal to 0"))
    if limit is not None and limit < 1:
        errors.append(FieldError.invalid("limitBytes", limit, "must be greater than 0"))
    if since_s is not None and since:
        errors.append(
            FieldError.forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified")
        )
    elif since_s is not None and since_s < 1:
        errors.append(FieldError.invalid("sinceSeconds", since_s, "must be greater than 0"))
    if errors:
        raise Invalid.of("PodLogOptions", "", pod["metadata"]["name"], errors)
    given: list[tuple[str, Json]] = [
        (name, "true") for name in ("follow", "previous", "timestamps") if _flag(request, name)
    ]
    given += [("sinceSeconds", since_s), ("sinceTime", since), ("tailLines", tail), ("limitBytes", limit)]
    return [(name, str(value)) for name, value in given if value is not None]


def _integer(request: Request, name: str) -> int | None:
    text = request.parameter(name)
    if not text:
        return None
    if not _INTEGER.fullmatch(text):
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def _time(request: Request, name: str) -> str | None:
    text = request.parameter(name)
    if not text:
        return None
    try:
        return rfc3339(parse_rfc3339(text))
    except ValueError:
        raise BadRequest(
            f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
        ) from None
