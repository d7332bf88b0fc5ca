"""One request carried to an extension API server and its answer back: bodies, watches, upgrades.

Upstream: kube-aggregator/pkg/apiserver/handler_proxy.go. Errors of the way are plain text with 503, as there.
"""

from __future__ import annotations

import asyncio

from podium.apiserver.aggregation.backends import Backends, Misconfigured
from podium.apiserver.aggregation.identity import set_identity
from podium.apiserver.aggregation.registration import Registration
from podium.apiserver.chain import User
from podium.apiserver.http.respond import text
from podium.apiserver.streaming import relay
from podium.apiserver.streaming.service_resolver import Unresolvable
from podium.base.http.client import HttpResponse, HttpTransport
from podium.base.http.message import Headers, Request, Response
from podium.base.log import Log
from podium.base.tasks import in_task

DISCOVERY_TIMEOUT_S = 5.0
"""A server that is slow to say what it serves must not hold up every client."""
REDIRECTED = "the backend attempted to redirect this request, which is not permitted"

_log = Log("podium.apiserver.aggregation")


def unavailable() -> Response:
    return text("service unavailable\n", status=503)


async def forward(
    request: Request,
    user: User,
    wanted: Registration,
    backends: Backends,
    *,
    discovers: bool = False,
    reject_redirects: bool = True,
) -> Response:
    """Answer `request` with what the registered server answers. `discovers`: it asks for no resource."""
    if not wanted.available:
        return unavailable()
    try:
        transport = backends.transport(wanted)
    except Unresolvable as error:
        _log.warning("no way to an extension server", name=wanted.name, error=error)
        return unavailable()
    except Misconfigured as error:
        return text(f"{error}\n", status=500)
    await in_task()
    try:
        async with asyncio.timeout(DISCOVERY_TIMEOUT_S if discovers else None):
            return await _exchange(request, user, transport, reject_redirects)
    except TimeoutError:
        return text("error trying to reach service: context deadline exceeded\n", status=503)
    except (ConnectionError, ValueError) as error:
        return text(f"error trying to reach service: {error}\n", status=503)


async def _exchange(
    request: Request, user: User, transport: HttpTransport, reject_redirects: bool
) -> Response:
    upgrade = relay.is_upgrade(request)
    headers = relay.request_headers(request, upgrade=upgrade)
    set_identity(headers, user)
    if upgrade:
        response, raw = await transport.upgrade(request.method, request.target, headers=headers)
        if raw is not None:
            return relay.upgraded(response, raw)
    else:
        headers.set("x-forwarded-uri", request.target)
        headers.set("x-forwarded-proto", "https" if request.tls else "http")
        if host := request.headers.get("host"):
            headers.set("x-forwarded-host", host)
        body = relay.request_body(request)
        response = await transport.send(request.method, request.target, headers=headers, body=body)
    if reject_redirects and _redirects(response):
        response.close()
        return Response(
            status=502, headers=Headers((("cache-control", "no-cache, private"),)), body=REDIRECTED.encode()
        )
    answer = relay.response_headers(response.headers)
    answer.remove("audit-id")
    if "cache-control" not in answer:
        answer.add("cache-control", "no-cache, private")
    return relay.streamed(request, response, answer)


def _redirects(response: HttpResponse) -> bool:
    return 300 <= response.status <= 399 and bool(response.headers.get("location"))
