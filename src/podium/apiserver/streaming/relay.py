"""What every proxied exchange shares: which headers travel, and how bodies and upgraded connections do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from podium.base.http.client import Body, HttpResponse
from podium.base.http.message import Headers, RawConnection, Request, Response, StreamWriter
from podium.base.http.raw import splice

# RFC 9110 7.6.1, and what older implementations add. They speak of one connection only.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Who the client is was settled at our door; its credentials are nobody else's to see.
CREDENTIALS = frozenset({"authorization", "host", "expect"})
CREDENTIAL_PREFIXES = ("impersonate-", "x-remote-")
BEARER_SUBPROTOCOL = "base64url.bearer.authorization.k8s.io."


def is_upgrade(request: Request) -> bool:
    return "upgrade" in request.headers.tokens("connection") and "upgrade" in request.headers


def _dropped(headers: Headers) -> set[str]:
    return {*HOP_BY_HOP, *headers.tokens("connection")}


def request_headers(request: Request, *, upgrade: bool) -> Headers:
    """Return the headers that go on to the backend."""
    dropped = _dropped(request.headers) | CREDENTIALS
    if upgrade:
        dropped.add("content-length")
    kept = Headers()
    for name, value in request.headers:
        if name in dropped or name.startswith(CREDENTIAL_PREFIXES):
            continue
        if name == "sec-websocket-protocol":
            # Browsers can send a token only as a subprotocol.
            protocols = ", ".join(p for p in _split(value) if not p.startswith(BEARER_SUBPROTOCOL))
            if protocols:
                kept.add(name, protocols)
        else:
            kept.add(name, value)
    if upgrade:
        kept.add("connection", "Upgrade")
        kept.add("upgrade", request.headers.get("upgrade"))
    client = request.remote.rpartition(":")[0].strip("[]")
    if client:
        before = ", ".join(kept.get_all("x-forwarded-for"))
        kept.set("x-forwarded-for", f"{before}, {client}" if before else client)
    return kept


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def response_headers(headers: Headers) -> Headers:
    """Return the headers that go back to the client."""
    dropped = _dropped(headers)
    return Headers([(name, value) for name, value in headers if name not in dropped])


def request_body(request: Request) -> Body:
    """Return the request's body as a stream; b"" when it has none."""
    if "transfer-encoding" not in request.headers and request.headers.get("content-length", "0") == "0":
        return b""

    async def pieces() -> AsyncIterator[bytes]:
        while piece := await request.read_chunk():
            yield piece

    return pieces()


async def whole(response: HttpResponse, bytes_max: int = 64 * 1024) -> bytes:
    """Return the beginning of a body that is an error message, and close the response."""
    body = b""
    try:
        async for chunk in response.chunks():
            body += chunk
            if len(body) >= bytes_max:
                break
    except ConnectionError:
        pass  # What came of it has to do.
    finally:
        response.close()
    return body[:bytes_max]


def streamed(request: Request, response: HttpResponse, headers: Headers) -> Response:
    """Return a response that carries `response` as it comes and ends when either side leaves."""
    if request.method == "HEAD" or response.status in (204, 304):
        response.close()
        return Response(status=response.status, headers=headers)

    async def stream(writer: StreamWriter) -> None:
        async def copy() -> None:
            async for chunk in response.chunks():
                writer.write(chunk)
                await writer.drain()

        copying = asyncio.ensure_future(copy())
        leaving = asyncio.ensure_future(writer.wait_closed())
        try:
            await asyncio.wait((copying, leaving), return_when=asyncio.FIRST_COMPLETED)
            if copying.done() and not writer.closed and copying.exception() is not None:
                # The backend broke off: so do we, for an end would say that this was all.
                writer.abort()
        finally:
            for task in (copying, leaving):
                task.cancel()
            await asyncio.gather(copying, leaving, return_exceptions=True)
            response.close()

    return Response(status=response.status, headers=headers, stream=stream)


def upgraded(response: HttpResponse, raw: RawConnection) -> Response:
    """Return the 101 that joins the client with an upgraded connection to the backend."""

    async def run(client: RawConnection) -> None:
        try:
            await splice(client, raw)
        finally:
            raw.close()

    headers = response_headers(response.headers)
    headers.set("connection", "Upgrade")
    headers.set("upgrade", response.headers.get("upgrade"))
    return Response(status=101, headers=headers, upgrade=run)
