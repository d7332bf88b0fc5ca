"""The shortcut answers as the chain does, or not at all."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from podium.apiserver import authn
from podium.apiserver.access import access_factory
from podium.apiserver.server import ApiServer, Config
from podium.apiserver.shortcut import Shortcut
from podium.base.http.message import Headers, Request, Response
from podium.store.sqlite import SqliteStore

TOKENS = ("root,root,1,system:masters", "alice,alice,2", "manager,system:kube-controller-manager,3")
CONFIGMAP = "/api/v1/namespaces/default/configmaps/a"


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[ApiServer]:
    store = await SqliteStore.open(directory / "store.db")
    access = access_factory(authn.Options(issuer="https://issuer", token_file=TOKENS))
    server = ApiServer(store, Config(), access=access)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
        await store.close()


def request(target: str, user: str = "root", method: str = "GET", body: bytes = b"", **more: str) -> Request:
    async def read() -> bytes:
        return body

    fields = {"host": "h", "accept": "application/json", "audit-id": "fixed", **more}
    if user:
        fields["authorization"] = f"Bearer {user}"
    headers = [(name.replace("_", "-"), value) for name, value in fields.items() if value]
    return Request(method=method, target=target, headers=Headers(headers), read_body=read)


def shortcut_of(server: ApiServer) -> Shortcut:
    assert server._shortcut is not None
    return server._shortcut


async def the_long_way(server: ApiServer, asked: Request) -> Response:
    kept, server._shortcut = server._shortcut, None
    try:
        return await server.handler(asked)
    finally:
        server._shortcut = kept


TAKEN = [
    request(CONFIGMAP),
    request(CONFIGMAP, accept="application/json, */*"),
    request(CONFIGMAP, accept="", user_agent="kubectl/v1.36", accept_encoding="gzip"),
    request("/apis/rbac.authorization.k8s.io/v1/clusterroles/view"),
    request(CONFIGMAP, "manager"),
]
LEFT = [
    request("/api/v1/namespaces/default"),
    request("/api/v1/namespaces/default/configmaps/missing"),
    request("/api/v1/namespaces/default/configmaps"),
    request("/api/v1/configmaps/a"),
    request("/api/v1/namespaces/default/namespaces/default"),
    request("/api/v1/namespaces/default/configmaps//a"),
    request("/api/v1/namespaces/default/status"),
    request("/api/v1/namespaces/default/unheardof/a"),
    request("/healthz"),
    request(CONFIGMAP + "?pretty=true"),
    request(CONFIGMAP + "?resourceVersion=1"),
    request(CONFIGMAP, accept="application/yaml"),
    request(CONFIGMAP, accept="application/vnd.kubernetes.protobuf"),
    request(CONFIGMAP, accept="application/json;as=Table;v=v1;g=meta.k8s.io"),
    request(CONFIGMAP, impersonate_user="alice"),
    request(CONFIGMAP, impersonate_group="some"),
    request(CONFIGMAP, "alice"),
    request(CONFIGMAP, "mallory"),
    request(CONFIGMAP, ""),
    request(CONFIGMAP, method="HEAD"),
]


@pytest.mark.parametrize("taken", [True, False])
def test_it_answers_as_the_chain_or_not_at_all(tmp_path: Path, taken: bool) -> None:
    async def main() -> None:
        async with serving(tmp_path) as server:
            body = orjson.dumps({"metadata": {"name": "a"}, "data": {"x": "y"}})
            made = await server.handler(
                request(
                    CONFIGMAP.removesuffix("/a"), method="POST", body=body, content_type="application/json"
                )
            )
            assert made.status == 201, made.body
            for asked in TAKEN if taken else LEFT:
                short = shortcut_of(server).answer(asked)
                what = f"{asked.target} {asked.headers}"
                assert (short is not None) is taken, what
                if short is not None:
                    long = await the_long_way(server, asked)
                    assert (short.status, short.body) == (long.status, long.body), what
                    assert sorted(short.headers) == sorted(long.headers), what

    asyncio.run(main())


def test_what_it_answers_is_counted_like_the_chains(tmp_path: Path) -> None:
    def counts(server: ApiServer) -> dict[str, str]:
        lines = server.metrics.registry.text().decode().splitlines()
        wanted = ("apiserver_request_total", "authenticat", "authorization_attempts", "apiserver_response_si")
        return dict(
            line.rsplit(" ", 1) for line in lines if line.startswith(wanted) and "duration" not in line
        )

    async def main() -> None:
        async with serving(tmp_path) as server:
            states = [counts(server)]
            for answer in (server.handler, lambda asked: the_long_way(server, asked)):
                assert (
                    await answer(request("/apis/rbac.authorization.k8s.io/v1/clusterroles/view"))
                ).status == 200
                states.append(counts(server))
        names = states[-1].keys()
        first, second = (
            {name: float(after[name]) - float(before.get(name, 0)) for name in names}
            for before, after in itertools.pairwise(states)
        )
        assert first == second
        assert any(first.values())

    asyncio.run(main())
