"""Fetching from issuers over HTTPS: discovery documents, key sets, distributed claims.

Redirects are followed, as upstream's client does; a token that goes with the request is not carried to
another host. An answer has a bound, and everything together a time.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from podium.apiserver.webhook_client import reason
from podium.base.http.client import HttpTransport
from podium.base.http.message import Headers
from podium.base.tasks import in_task

TIMEOUT_S = 30.0
REDIRECTS_MAX = 10
ANSWER_BYTES_MAX = 4 * 1024 * 1024
HOSTS_MAX = 64
_REDIRECTS = (301, 302, 303, 307, 308)


class FetchError(Exception):
    """No answer, or none that could be used; the text is upstream's as far as it goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    status: int
    headers: Headers
    body: bytes


class Web:
    """GETs with one set of authorities; connections are kept."""

    def __init__(self, authorities_pem: str) -> None:
        """Empty means the system's authorities. Raises `ssl.SSLError`, `ValueError`."""
        self._ssl = ssl.create_default_context(cadata=authorities_pem or None)
        self._transports: dict[str, HttpTransport] = {}

    async def get(self, url: str, *, token: str = "") -> Fetched:
        """Return the answer to a GET, whatever its status. Raises `FetchError`."""
        await in_task()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._get(url, token)
        except TimeoutError:
            raise FetchError(
                f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
            ) from None

    async def _get(self, url: str, token: str) -> Fetched:
        for _ in range(REDIRECTS_MAX):
            try:
                fetched = await self._once(url, token)
            except ConnectionError as error:
                raise FetchError(f'Get "{url}": {reason(error, url)}') from None
            target = fetched.headers.get("location")
            if fetched.status not in _REDIRECTS or not target:
                return fetched
            new = urljoin(url, target)
            if urlsplit(new)[:2] != urlsplit(url)[:2]:
                token = ""  # Another host, or no TLS any more.
            url = new
        raise FetchError(f'Get "{url}": stopped after {REDIRECTS_MAX} redirects')

    async def _once(self, url: str, token: str) -> Fetched:
        try:
            parts = urlsplit(url)
            transport = self._transport(f"{parts.scheme}://{parts.netloc}")
        except ValueError as error:
            raise FetchError(f'Get "{url}": {error}') from None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = [("accept", "*/*")]
        if token:
            headers.append(("authorization", f"Bearer {token}"))
        async with transport.request("GET", target, headers=headers) as response:
            body = bytearray()
            async for chunk in response.chunks():
                body += chunk
                if len(body) > ANSWER_BYTES_MAX:
                    raise FetchError(f'Get "{url}": the answer is longer than {ANSWER_BYTES_MAX} bytes')
            return Fetched(status=response.status, headers=response.headers, body=bytes(body))

    def _transport(self, origin: str) -> HttpTransport:
        found = self._transports.get(origin)
        if found is None:
            if len(self._transports) >= HOSTS_MAX:
                self._transports.pop(next(iter(self._transports))).close_idle()
            found = self._transports[origin] = HttpTransport(origin, ssl_context=self._ssl)
        return found

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()
        self._transports.clear()
