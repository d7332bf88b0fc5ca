"""A component's own little server: /healthz, /livez, /readyz for everybody, /metrics for who may read them.

Whoever asks for more than health shows a bearer token; the API server says whose it is (TokenReview) and
whether that user may (SubjectAccessReview), as upstream's delegated authentication and authorization do.
"""

from __future__ import annotations

import argparse
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from podium.base.clock import Clock, WallClock
from podium.base.http.message import Headers, Request, Response
from podium.base.http.server import Server
from podium.base.log import Log
from podium.base.metrics import CONTENT_TYPE, Registry
from podium.client.client import Client
from podium.machinery.errors import ApiError
from podium.resources.authentication.tokenreviews import TOKENREVIEWS
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS

HEALTH = ("/healthz", "/livez", "/readyz")
DECISIONS_MAX = 256
DECISION_KEPT_S = 10.0

_log = Log("podium.serving")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add upstream's flags of a component's server. Without `--secure-port` nothing is served."""
    add = parser.add_argument
    add("--secure-port", type=int, default=0, help="port for health and metrics over HTTPS; 0: none")
    add("--bind-address", default="0.0.0.0", help="address of that port")
    add("--tls-cert-file", default="", help="its certificate; made when it is missing")
    add("--tls-private-key-file", default="", help="its certificate's key")


@asynccontextmanager
async def serving(
    arguments: argparse.Namespace, name: str, registry: Registry, client: Client
) -> AsyncIterator[None]:
    """Serve while the block runs, if the command line asks for it."""
    if not arguments.secure_port:
        yield
        return
    server = Server(ComponentServer(registry, client).handler)
    context = _tls(arguments.tls_cert_file, arguments.tls_private_key_file, name)
    await server.start(arguments.bind_address, arguments.secure_port, context)
    _log.info("serving", address=arguments.bind_address, port=server.port)
    try:
        yield
    finally:
        await server.stop()


class ComponentServer:
    """Answers the requests."""

    def __init__(
        self,
        registry: Registry,
        client: Client,
        *,
        clock: Clock | None = None,
        healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        self._registry = registry
        self._client = client
        self._clock = clock or WallClock()
        self._healthy = healthy
        self._decisions: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    async def handler(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if request.method not in ("GET", "HEAD"):
            return _text("Method Not Allowed\n", 405)
        if path in HEALTH:
            return _text("ok", 200) if self._healthy() else _text(f"{path[1:]} check failed\n", 500)
        status = await self._status_for(request, path)
        if status != 200:
            return _text({401: "Unauthorized\n", 403: "Forbidden\n"}.get(status, "Internal error\n"), status)
        if path != "/metrics":
            return _text("404 page not found\n", 404)
        headers = Headers((("content-type", CONTENT_TYPE),))
        return Response(headers=headers, body=self._registry.text())

    async def _status_for(self, request: Request, path: str) -> int:
        scheme, _, token = request.headers.get("authorization").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return 401
        key, now = (token.strip(), path), self._clock.monotonic_s()
        known = self._decisions.get(key)
        if known is not None and known[0] > now:
            return known[1]
        try:
            status = await self._ask(key[0], path)
        except (ApiError, ConnectionError, TimeoutError, OSError) as error:
            _log.warning("cannot decide about a request", path=path, error=repr(error))
            return 500
        self._decisions[key] = (now + DECISION_KEPT_S, status)
        if len(self._decisions) > DECISIONS_MAX:
            self._decisions.popitem(last=False)
        return status

    async def _ask(self, token: str, path: str) -> int:
        review = await self._client.create(TOKENREVIEWS, {"spec": {"token": token}})
        status = review.get("status") or {}
        if not status.get("authenticated"):
            return 401
        user = status.get("user") or {}
        spec = {
            "user": user.get("username", ""),
            "uid": user.get("uid", ""),
            "groups": user.get("groups") or [],
            "extra": user.get("extra") or {},
            "nonResourceAttributes": {"path": path, "verb": "get"},
        }
        answer = await self._client.create(SUBJECTACCESSREVIEWS, {"spec": spec})
        return 200 if (answer.get("status") or {}).get("allowed") else 403


def _text(body: str, status: int) -> Response:
    headers = Headers((("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")))
    return Response(status=status, headers=headers, body=body.encode())


def _tls(certificate: str, key: str, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if certificate:
        context.load_cert_chain(certificate, key or certificate)
        return context
    from podium.base import pki  # noqa: PLC0415 - imports cryptography, which few need

    authority = pki.create_ca(f"{name}-ca")
    pair = pki.issue(
        authority, common_name=name, dns_names=["localhost"], ip_addresses=["127.0.0.1", "::1"], server=True
    )
    with TemporaryDirectory(prefix="podium-") as directory:
        path = Path(directory) / "tls.pem"
        pki.write_private(path, pair.key_pem + pair.certificate_pem)
        context.load_cert_chain(path)
    return context
