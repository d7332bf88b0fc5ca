"""The API server's side of exec, attach, port-forward, logs and the node proxy: connections to kubelets.

Upgrades are tunnelled byte for byte, so the API server knows nothing of SPDY or channels; the kubelet's
refusals are passed on. A kubelet's redirect is never followed: it could point anywhere.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from collections.abc import Sequence

from podium.apiserver.streaming import location, proxy, relay
from podium.apiserver.streaming.location import BackendUnreachable
from podium.base.http.client import HttpResponse, HttpTransport
from podium.base.http.message import Headers, Request, Response
from podium.machinery.errors import ApiError, BadRequest, InternalError, NotFound, Object

TRANSPORTS_MAX = 1024
REDIRECTED = b"the backend attempted to redirect this request, which is not permitted"


class KubeletConnections:
    """Speaks to kubelets with the API server's client certificate. One pool for each kubelet."""

    def __init__(
        self, ssl_context: ssl.SSLContext | None, *, address_types: Sequence[str] = location.ADDRESS_TYPES
    ) -> None:
        self._ssl = ssl_context
        self._address_types = tuple(address_types)
        self._transports: OrderedDict[str, HttpTransport] = OrderedDict()

    async def exec(self, request: Request, pod: Object, node: Object | None) -> Response:
        """Answer pods/exec. `node` is the pod's; None when it has none, or the Node is gone."""
        return await self._upgrade(request, location.exec_target(request, pod, "exec"), pod, node)

    async def attach(self, request: Request, pod: Object, node: Object | None) -> Response:
        """Answer pods/attach."""
        return await self._upgrade(request, location.exec_target(request, pod, "attach"), pod, node)

    async def portforward(self, request: Request, pod: Object, node: Object | None) -> Response:
        """Answer pods/portforward."""
        return await self._upgrade(request, location.port_forward_target(request, pod), pod, node)

    async def logs(self, request: Request, pod: Object, node: Object | None) -> Response:
        """Answer pods/log: the text as the kubelet sends it. A pod without a node has an empty one (204)."""
        target = location.logs_target(request, pod)
        if not (pod.get("spec") or {}).get("nodeName"):
            return Response(status=204)
        transport = self.transport(location.node_of(pod, node))
        try:
            response = await transport.send("GET", target)
        except ConnectionError as error:
            raise BackendUnreachable(f'Get "{transport.url}{target}": {error}') from error
        if response.status != 200:
            raise await _log_error(response, pod)
        return relay.streamed(request, response, Headers([("content-type", "text/plain")]))

    async def node_proxy(self, request: Request, node: Object, path: str) -> Response:
        """Answer nodes/proxy: any path of the kubelet's own server."""
        return await proxy.forward(request, self.transport(node), path)

    def transport(self, node: Object) -> HttpTransport:
        """Return the pool of connections to a node's kubelet."""
        url = location.kubelet_address(node, self._address_types).url
        if self._ssl is None:
            url = url.replace("https://", "http://", 1)
        found = self._transports.get(url)
        if found is None:
            self._make_room()
            found = self._transports[url] = HttpTransport(url, ssl_context=self._ssl)
        self._transports.move_to_end(url)
        return found

    def replace_tls(self, ssl_context: ssl.SSLContext) -> None:
        """Connect with another context from now on; streams that run go on."""
        self._ssl = ssl_context
        for transport in self._transports.values():
            transport.close_idle()
        self._transports.clear()

    def _make_room(self) -> None:
        """Forget the kubelets that were spoken to longest ago, but none with a stream that still runs."""
        if len(self._transports) >= TRANSPORTS_MAX:
            for url in [u for u, t in self._transports.items() if not t.in_use][: TRANSPORTS_MAX // 4]:
                self._transports.pop(url).close_idle()

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()
        self._transports.clear()

    async def _upgrade(self, request: Request, target: str, pod: Object, node: Object | None) -> Response:
        transport = self.transport(location.node_of(pod, node))
        if not relay.is_upgrade(request):
            raise BadRequest("Upgrade request required")
        headers = relay.request_headers(request, upgrade=True)
        try:
            response, raw = await transport.upgrade(request.method, target, headers=headers)
        except ConnectionError as error:
            raise BackendUnreachable(f"error dialing backend: {error}") from error
        if raw is not None:
            return relay.upgraded(response, raw)
        body = await relay.whole(response)
        if 300 <= response.status < 400:
            return Response(status=502, headers=Headers([("content-type", "text/plain")]), body=REDIRECTED)
        kept = Headers([("content-type", response.headers.get("content-type") or "text/plain")])
        return Response(status=response.status, headers=kept, body=body)


async def _log_error(response: HttpResponse, pod: Object) -> ApiError:
    """Return what a kubelet's refusal of a log means to the client, as upstream's response checker does."""
    text = (await relay.whole(response)).decode(errors="replace")
    name = pod["metadata"]["name"]
    details = {"name": name, "kind": "pods"}
    match response.status:
        case 400:
            return BadRequest(text)
        case 404:
            return NotFound(
                f"the server could not find the requested resource ( pods {name})", details=details
            )
        case 500:
            return InternalError(f"Internal error occurred: {text}")
    return InternalError(
        f"the server responded with the status code {response.status} but did not return more information "
        f"( pods {name})",
        details=details,
    )
