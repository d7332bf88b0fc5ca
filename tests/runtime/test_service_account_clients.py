"""Clients in the name of service accounts: who makes them, and when a token is renewed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import orjson
import pytest

from podium.base.http.message import Headers
from podium.client.client import Client
from podium.machinery.errors import ApiError
from podium.resources.core.configmaps import CONFIGMAPS
from podium.runtime.service_account_clients import TOKEN_LIFETIME_S, ServiceAccountClients
from tests.runtime.fakes import FakeClock


class Answer:
    def __init__(self, status: int, body: object) -> None:
        self.status = status
        self.headers = Headers()
        self._body = orjson.dumps(body)

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body


class Server:
    """One server, as seen with and without an identity: it knows accounts, and the last token of each."""

    def __init__(self) -> None:
        self.accounts: set[str] = set()
        self.tokens: dict[str, str] = {}
        self.asked = 0

    @asynccontextmanager
    async def request(
        self, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b""
    ) -> AsyncIterator[Answer]:
        yield self._answer(method, target, headers.get("authorization", ""), body)

    async def close(self) -> None: ...

    def _answer(self, method: str, target: str, authorization: str, body: bytes) -> Answer:
        prefix = "/api/v1/namespaces/kube-system/serviceaccounts"
        if target == prefix:
            self.accounts.add(orjson.loads(body)["metadata"]["name"])
            return Answer(201, {"metadata": {}})
        if target.startswith(prefix):
            name = target.removeprefix(prefix + "/").removesuffix("/token")
            if name not in self.accounts:
                return Answer(404, {"kind": "Status", "reason": "NotFound", "code": 404})
            self.asked += 1
            self.tokens[name] = f"{name}-{self.asked}"
            return Answer(201, {"status": {"token": self.tokens[name]}})
        token = authorization.removeprefix("Bearer ")
        if token not in self.tokens.values():
            return Answer(401, {"kind": "Status", "reason": "Unauthorized", "code": 401})
        return Answer(200, {"kind": "ConfigMap", "data": {"token": token}})


def test_tokens_come_when_needed_and_are_renewed() -> None:
    async def run() -> None:
        server, clock = Server(), FakeClock()
        clients = ServiceAccountClients(Client(server), server, clock=clock)

        async def token_of(name: str) -> str:
            found = await clients.client(name).get(CONFIGMAPS, "x", "default")
            return str(found["data"]["token"])

        assert clients.client("a") is clients.client("a")
        assert server.asked == 0
        assert list(await asyncio.gather(token_of("a"), token_of("a"))) == ["a-1", "a-1"]
        assert server.accounts == {"a"}
        assert await token_of("b") == "b-2"
        await clock.advance(TOKEN_LIFETIME_S / 2)
        assert await token_of("a") == "a-1"
        await clock.advance(TOKEN_LIFETIME_S / 2)
        assert await token_of("a") == "a-3"
        server.tokens.clear()  # the account has been made anew
        with pytest.raises(ApiError):
            await token_of("a")
        assert await token_of("a") == "a-4"
        await clients.close()

    asyncio.run(run())
