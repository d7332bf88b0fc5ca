"""pods/log, exec, attach, portforward, and the proxies: carried to kubelets, pods and services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.api import Special
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import not_found
from podium.apiserver.streaming.kubelet import KubeletConnections
from podium.apiserver.streaming.proxy import Proxy, path_below, split_name
from podium.base.http.message import Request, Response
from podium.machinery.errors import Object
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES

_ToPod = Callable[[Request, Object, Object | None], Awaitable[Response]]
_CREATE_TO_CONNECT = "AuthorizePodWebsocketUpgradeCreatePermission"
_CONNECTING = ("exec", "attach", "portforward")


class Streams:
    """The subresources that open connections."""

    def __init__(self, kubelets: KubeletConnections, proxy: Proxy) -> None:
        self._kubelets = kubelets
        self._proxy = proxy

    def table(self) -> Mapping[tuple[str, str], Special]:
        return {
            ("pods", "log"): self._to_pod(self._kubelets.logs),
            ("pods", "exec"): self._to_pod(self._kubelets.exec),
            ("pods", "attach"): self._to_pod(self._kubelets.attach),
            ("pods", "portforward"): self._to_pod(self._kubelets.portforward),
            ("pods", "proxy"): self._pod_proxy,
            ("services", "proxy"): self._service_proxy,
            ("nodes", "proxy"): self._node_proxy,
        }

    def _to_pod(self, connect: _ToPod) -> Special:
        async def handle(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
            pod = _peek(registry, call, PODS)
            if info.subresource in _CONNECTING:
                if info.verb != "create" and registry.catalog.enabled(_CREATE_TO_CONNECT):
                    # A WebSocket comes as a GET: who may only read must not get a shell by it.
                    await registry.authorize_create(call)
                await _admit(registry, call, request)
            node_name = (pod.get("spec") or {}).get("nodeName")
            node = registry.peek(NODES, "", node_name) if node_name else None
            response = await connect(request, pod, node)
            if info.subresource == "log" and "cache-control" not in response.headers:
                response.headers.add("cache-control", "no-cache, private")
            return response

        return handle

    async def _pod_proxy(
        self, registry: Registry, call: Call, request: Request, info: RequestInfo
    ) -> Response:
        written = call.name
        call.name = split_name(written, "pod").name
        pod = _peek(registry, call, PODS)
        await _admit(registry, call, request)
        return await self._proxy.pod(request, pod, written, path_below(request.raw_path))

    async def _service_proxy(
        self, registry: Registry, call: Call, request: Request, info: RequestInfo
    ) -> Response:
        written = call.name
        call.name = split_name(written, "service").name
        service = _peek(registry, call, SERVICES)
        await _admit(registry, call, request)
        endpoints = registry.peek(ENDPOINTS, call.namespace, call.name)
        return await self._proxy.service(request, service, endpoints, written, path_below(request.raw_path))

    async def _node_proxy(
        self, registry: Registry, call: Call, request: Request, info: RequestInfo
    ) -> Response:
        node = _peek(registry, call, NODES)
        await _admit(registry, call, request)
        return await self._kubelets.node_proxy(request, node, path_below(request.raw_path))


def _peek(registry: Registry, call: Call, resource: Any) -> Object:
    found = registry.peek(resource, call.namespace, call.name)
    if found is None:
        raise not_found(call)
    return found


_FLAGS = frozenset({"stdin", "stdout", "stderr", "tty"})


async def _admit(registry: Registry, call: Call, request: Request) -> None:
    """Let plugins look at the connection: at its options, which are an object like any other."""
    kind = registry.host.kind_of(call.served.resource, call.subresource)
    options: Object = {"kind": kind.kind, "apiVersion": kind.api_version}
    for name, values in request.query.items():
        if name in _FLAGS:
            if values[0].lower() not in ("false", "0"):
                options[name] = True
        elif name == "command":
            options[name] = values
        elif name == "ports":
            options[name] = [int(port) for text in values for port in text.split(",") if port.isdigit()]
        else:
            options[name] = values[0]
    if call.subresource == "proxy" and (path := path_below(request.raw_path)):
        options["path"] = path
    attributes = await registry.admit(call, "CONNECT", options)
    await registry.validate(attributes)
