"""What this server itself asks of an extension API server: is it there, what does it serve."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from podium.apiserver.aggregation.identity import set_identity
from podium.apiserver.chain import MASTERS, User
from podium.base.http.client import HttpTransport
from podium.base.http.message import Headers

AGGREGATOR = User(name="system:kube-aggregator", groups=(MASTERS,))
"""Whom extension servers see then. The group makes sure that they answer."""
BODY_BYTES_MAX = 64 * 1024 * 1024
TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Headers
    body: bytes


async def ask(
    transport: HttpTransport,
    path: str,
    *,
    accept: str = "application/json",
    etag: str = "",
    timeout_s: float = TIMEOUT_S,
    read: bool = True,
) -> Answer:
    """GET `path`. Raises ConnectionError and TimeoutError."""
    headers = Headers([("accept", accept)])
    if etag:
        headers.add("if-none-match", etag)
    set_identity(headers, AGGREGATOR)
    async with asyncio.timeout(timeout_s), transport.request("GET", path, headers=headers) as response:
        body = bytearray()
        if read:
            async for chunk in response.chunks():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    raise ConnectionError(f"the answer is longer than {BODY_BYTES_MAX} bytes")
        return Answer(status=response.status, headers=response.headers, body=bytes(body))
