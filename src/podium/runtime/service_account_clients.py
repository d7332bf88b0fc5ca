"""Clients in the name of service accounts: each controller works with its own account's rights alone.

Accounts live in kube-system; one that is not there is made. Their tokens are asked for when they are first
needed, and again before they expire. Upstream: SAControllerClientBuilder.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from podium.base.clock import Clock, WallClock
from podium.client.client import Client, ClientResponse, Transport
from podium.machinery.errors import AlreadyExists, NotFound, Object
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS

NAMESPACE = "kube-system"
TOKEN_LIFETIME_S = 3600
RENEWED_AFTER = 0.8
"""Of its lifetime: what is left is for those who cannot reach the API server for a while."""


class ServiceAccountClients:
    """The clients of one process, one for each account."""

    def __init__(self, root: Client, transport: Transport, *, clock: Clock | None = None) -> None:
        """`root` may make accounts and tokens; `transport` reaches the same server with no identity."""
        self._root = root
        self._transport = transport
        self._clock = clock or WallClock()
        self._clients: dict[str, Client] = {}

    def client(self, account: str) -> Client:
        """Return the client of a service account in kube-system."""
        if account not in self._clients:
            token = _Token(self._root, account, self._clock)
            transport = _IdentifiedTransport(self._transport, token)
            self._clients[account] = Client(transport, user_agent=f"{self._root.user_agent}/{account}")
        return self._clients[account]

    async def close(self) -> None:
        await self._transport.close()


class _Token:
    """A service account's current token."""

    def __init__(self, root: Client, account: str, clock: Clock) -> None:
        self._root = root
        self._account = account
        self._clock = clock
        self._text = ""
        self._renew_at_s = 0.0
        self._asking = asyncio.Lock()

    async def get(self) -> str:
        """Return a token that is good for a while. Raises what the API server answers."""
        if not self._is_fresh():
            async with self._asking:
                if not self._is_fresh():
                    await self._ask()
        return self._text

    def forget(self) -> None:
        """The server has refused it: the account may have been made anew."""
        self._text = ""

    def _is_fresh(self) -> bool:
        return bool(self._text) and self._clock.monotonic_s() < self._renew_at_s

    async def _ask(self) -> None:
        asked_at_s = self._clock.monotonic_s()
        try:
            answer = await self._request()
        except NotFound:
            await self._make_account()
            answer = await self._request()
        self._text = answer["status"]["token"]
        self._renew_at_s = asked_at_s + RENEWED_AFTER * TOKEN_LIFETIME_S

    async def _request(self) -> Object:
        wish = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        body = {**wish, "spec": {"expirationSeconds": TOKEN_LIFETIME_S}}
        return await self._root.create(
            SERVICEACCOUNTS, body, NAMESPACE, subresource="token", name=self._account
        )

    async def _make_account(self) -> None:
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": self._account, "namespace": NAMESPACE},
        }
        try:
            await self._root.create(SERVICEACCOUNTS, account)
        except AlreadyExists:
            return


class _IdentifiedTransport:
    """A transport whose requests carry a token. The transport below belongs to `ServiceAccountClients`."""

    def __init__(self, inner: Transport, token: _Token) -> None:
        self._inner = inner
        self._token = token

    @asynccontextmanager
    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[ClientResponse]:
        identified = {**headers, "authorization": f"Bearer {await self._token.get()}"}
        async with self._inner.request(method, target, headers=identified, body=body) as response:
            if response.status == 401:
                self._token.forget()
            yield response

    async def close(self) -> None:
        """Others use the same connections."""
