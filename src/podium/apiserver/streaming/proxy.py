"""The proxy subresource of pods, services and nodes: a reverse proxy for HTTP and upgraded connections.

`split_name` and the `*_backend` functions are pure and say where to; `forward` carries one exchange there.
Redirects are handed to the client, with paths on the backend mapped below the proxy's own path. Links inside
HTML are not rewritten.
"""

from __future__ import annotations

import ipaddress
import random
import ssl
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from podium.apiserver.streaming import relay
from podium.base.http.client import HttpTransport
from podium.base.http.message import Headers, Request, Response
from podium.machinery.errors import BadRequest, Object, ServiceUnavailable

TRANSPORTS_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Where a proxied request goes."""

    host: str
    port: int
    scheme: str = "http"

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyName:
    """The name in a proxy URL, taken apart: `[scheme:]name[:port]`."""

    scheme: str
    name: str
    port: str


def split_name(text: str, kind: str) -> ProxyName:
    """Take the name of a proxy URL apart. Raises BadRequest, naming `kind` ("pod", "service", "node")."""
    parts = text.split(":")
    scheme, name, port = "", text, ""
    if len(parts) == 2:
        name, port = parts
    elif len(parts) == 3:
        scheme, name, port = parts
    if len(parts) > 3 or not name or scheme not in ("", "http", "https"):
        raise BadRequest(f'invalid {kind} request "{text}"')
    return ProxyName(scheme=scheme, name=name, port=port)


def pod_backend(pod: Object, wanted: ProxyName) -> Backend:
    """Return where a pod listens: the named or numbered port, else its first. Raises BadRequest."""
    host = (pod.get("status") or {}).get("podIP") or ""
    _check_address(host)
    ports = [p for c in pod["spec"].get("containers") or () for p in c.get("ports") or ()]
    port = wanted.port
    if not port:
        port = str(ports[0]["containerPort"]) if ports else ""
    elif not port.isdigit():
        port = next((str(p["containerPort"]) for p in ports if p.get("name") == port), port)
    return Backend(host=host, port=_number(port, wanted), scheme=wanted.scheme or "http")


def service_backend(
    service: Object, endpoints: Object | None, wanted: ProxyName, choose: random.Random
) -> Backend:
    """Return one ready endpoint of a service. Raises ServiceUnavailable when there is none."""
    name = service["metadata"]["name"]
    ports = service["spec"].get("ports") or ()
    if wanted.port:
        known = [p for p in ports if wanted.port in (p.get("name"), str(p.get("port")))]
        if not known:
            raise ServiceUnavailable(f'no service port "{wanted.port}" found for service "{name}"')
        port_name = known[0].get("name") or ""
    else:
        port_name = (ports[0].get("name") or "") if ports else ""
    candidates = [
        (address["ip"], port["port"])
        for subset in (endpoints or {}).get("subsets") or ()
        for port in subset.get("ports") or ()
        if (port.get("name") or "") == port_name
        for address in subset.get("addresses") or ()
    ]
    if not candidates:
        raise ServiceUnavailable(f'no endpoints available for service "{name}"')
    host, port = choose.choice(candidates)
    _check_address(host)
    return Backend(host=host, port=int(port), scheme=wanted.scheme or "http")


def _number(port: str, wanted: ProxyName) -> int:
    if not port:
        return 443 if wanted.scheme == "https" else 80
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise BadRequest(f'invalid port "{port}" of "{wanted.name}"')
    return int(port)


def _check_address(host: str) -> None:
    """A pod's address may not lead back into this machine. Raises BadRequest."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise BadRequest("address not allowed") from None
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        raise BadRequest("address not allowed")


def clean_path(raw_path: str) -> str:
    """Return a still encoded path from the root, without `.` and `..`, however they were written."""
    kept: list[str] = []
    for segment in raw_path.split("/"):
        plain = unquote(segment)
        if plain == "..":
            kept = kept[:-1]
        elif plain not in ("", "."):
            kept.append(segment)
    slash = kept and unquote(raw_path.rpartition("/")[2]) in ("", ".", "..")
    return "/" + "/".join(kept) + ("/" if slash else "")


def path_below(raw_path: str) -> str:
    """Return what follows the `proxy` subresource in a request's path, still encoded: "" or from a slash on.

    Counted, not searched: the name before it, or a segment after it, may be "proxy" too.
    """
    segments = raw_path.split("/")
    # /api/v1/namespaces/{ns}/{plural}/{name}/proxy/… or /api/v1/nodes/{name}/proxy/…
    below = 8 if segments[3:4] == ["namespaces"] else 6
    return "".join(f"/{segment}" for segment in segments[below:])


class Proxy:
    """Carries requests to pods and services. Their certificates are not verified: nobody could know them."""

    def __init__(self, *, choose: random.Random | None = None) -> None:
        self._choose = choose or random.Random()
        self._transports: OrderedDict[str, HttpTransport] = OrderedDict()

    async def pod(self, request: Request, pod: Object, name: str, path: str) -> Response:
        """Answer pods/proxy. `name` is as in the URL (`[scheme:]name[:port]`); `path` what follows /proxy,
        still encoded."""
        return await self._forward(request, pod_backend(pod, split_name(name, "pod")), path)

    async def service(
        self, request: Request, service: Object, endpoints: Object | None, name: str, path: str
    ) -> Response:
        """Answer services/proxy through one of its endpoints."""
        wanted = split_name(name, "service")
        return await self._forward(request, service_backend(service, endpoints, wanted, self._choose), path)

    async def _forward(self, request: Request, backend: Backend, path: str) -> Response:
        found = self._transports.get(backend.url)
        if found is None:
            self._make_room()
            context = _unverified() if backend.scheme == "https" else None
            found = self._transports[backend.url] = HttpTransport(backend.url, ssl_context=context)
        self._transports.move_to_end(backend.url)
        return await forward(request, found, path)

    def _make_room(self) -> None:
        if len(self._transports) >= TRANSPORTS_MAX:
            for url in [u for u, t in self._transports.items() if not t.in_use][: TRANSPORTS_MAX // 4]:
                self._transports.pop(url).close_idle()

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()
        self._transports.clear()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def forward(request: Request, transport: HttpTransport, path: str) -> Response:
    """Carry one exchange. `path` is the part of the request's path that is the backend's, still encoded.
    Raises ServiceUnavailable when the backend cannot be reached."""
    if not path and request.method in ("GET", "HEAD") and not relay.is_upgrade(request):
        # Relative links of what is served at the root only work below a slash.
        query = f"?{request.raw_query}" if request.raw_query else ""
        return Response(status=301, headers=Headers([("location", f"{request.raw_path}/{query}")]))
    target = clean_path(path) + (f"?{request.raw_query}" if request.raw_query else "")
    try:
        if relay.is_upgrade(request):
            headers = relay.request_headers(request, upgrade=True)
            response, raw = await transport.upgrade(request.method, target, headers=headers)
            if raw is not None:
                return relay.upgraded(response, raw)
        else:
            headers = relay.request_headers(request, upgrade=False)
            headers.set("x-forwarded-uri", request.target)
            headers.set("x-forwarded-proto", "https" if request.tls else "http")
            if host := request.headers.get("host"):
                headers.set("x-forwarded-host", host)
            body = relay.request_body(request)
            response = await transport.send(request.method, target, headers=headers, body=body)
    except ConnectionError as error:
        raise ServiceUnavailable(f"error trying to reach service: {error}") from error
    except ValueError as error:
        raise BadRequest(str(error)) from error
    answer = relay.response_headers(response.headers)
    if moved := answer.get("location"):
        answer.set("location", _mapped(moved, request, path, transport.url))
    return relay.streamed(request, response, answer)


def _mapped(moved: str, request: Request, path: str, backend_url: str) -> str:
    """Return a redirect's target as the client reaches it: below the proxy when it is on the backend."""
    parts = urlsplit(moved)
    if not moved.startswith("/") and not moved.startswith(backend_url + "/"):
        return moved
    if moved.startswith("//"):
        return moved
    prefix = request.raw_path[: len(request.raw_path) - len(path)] if path else request.raw_path
    query = f"?{parts.query}" if parts.query else ""
    return prefix + quote(parts.path, safe="/%:@!$&'()*+,;=~") + query
