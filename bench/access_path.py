"""What the whole access path costs a request: authentication, authorization and admission, on and off.

    python -m bench.access_path

Prints the time of requests to an API server in this process: without access control, with it among 10 and
among 10,000 RoleBindings, and with 200 admission policies in CEL of which none, or five, are about what is
written.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson

from podium.apiserver.access import access_factory
from podium.apiserver.authn import Options
from podium.apiserver.chain import AccessFactory
from podium.apiserver.server import ApiServer, Config
from podium.base.http.message import Headers, Request
from podium.machinery.errors import Object
from podium.store.sqlite import SqliteStore

ROUNDS = 2000
BATCH = 64
"""Creates that are under way at once: they share commits, as those of many clients do."""
REPEATS = 5
RBAC = "rbac.authorization.k8s.io"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
TOKENS = ["admin,admin,1,system:masters", "alice,alice,2"]
NAMESPACE = "/api/v1/namespaces/team-7"


class Api:
    """One server, spoken to by calling its handler."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._names = itertools.count()

    async def send(self, method: str, path: str, body: Object | None = None, *, who: str = "admin") -> None:
        raw = b"" if body is None else orjson.dumps(body)

        async def read() -> bytes:
            return raw

        headers = [("authorization", f"Bearer {who}"), ("content-type", "application/json")]
        headers = headers if body is not None else headers[:1]
        request = Request(method=method, target=path, headers=Headers(headers), read_body=read)
        response = await self._server.handler(request)
        assert response.status < 300, response.body

    async def read(self) -> None:
        await self.send("GET", f"{NAMESPACE}/configmaps/read", who="alice")

    async def list(self) -> None:
        await self.send("GET", f"{NAMESPACE}/configmaps?fieldSelector=metadata.name%3Dread", who="alice")

    async def create(self) -> None:
        await asyncio.gather(*(self._create() for _ in range(BATCH)))

    async def _create(self) -> None:
        config_map = {"metadata": {"name": f"m-{next(self._names)}"}, "data": {"a": "b" * 1024}}
        await self.send("POST", f"{NAMESPACE}/configmaps", config_map, who="alice")


def binding(index: int, user: str) -> tuple[str, Object]:
    namespace = f"team-{index % 100}"
    return f"/apis/{RBAC}/v1/namespaces/{namespace}/rolebindings", {
        "metadata": {"name": f"b-{index}"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": user}],
    }


def policy(index: int, resource: str) -> tuple[Object, Object]:
    rules = [
        {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": [resource],
        }
    ]
    name = f"p-{index}"
    spec = {
        "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": f"object.metadata.name != 'forbidden-{index}'"}],
    }
    bound = {"policyName": name, "validationActions": ["Deny"]}
    return {"metadata": {"name": name}, "spec": spec}, {"metadata": {"name": name}, "spec": bound}


@asynccontextmanager
async def running(
    access: AccessFactory | None, bindings: int, about: str, policies: int
) -> AsyncIterator[Api]:
    """Run a server with objects in it; the first five policies are about resource `about`."""
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as folder:
        store = await SqliteStore.open(Path(folder) / "store.db")
        server = ApiServer(store, Config(), access=access)
        await server.start()
        api = Api(server)
        namespaces = (
            api.send("POST", "/api/v1/namespaces", {"metadata": {"name": f"team-{n}"}}) for n in range(100)
        )
        await asyncio.gather(*namespaces)
        await api.send("POST", f"{NAMESPACE}/configmaps", {"metadata": {"name": "read"}})
        await api.send("POST", *binding(7, "alice"))
        for start in range(100, 100 + bindings, 200):
            some = range(start, min(start + 200, 100 + bindings))
            await asyncio.gather(*(api.send("POST", *binding(index, f"user-{index}")) for index in some))
        for index in range(policies):
            made, bound = policy(index, about if index < 5 else "endpoints")
            await api.send("POST", f"{POLICIES}ies", made)
            await api.send("POST", f"{POLICIES}ybindings", bound)
        gc.collect()
        gc.freeze()
        try:
            yield api
        finally:
            await server.stop()
            await store.close()


async def best_us(call: Callable[[], Awaitable[None]], each: int, rounds: int) -> float:
    """Return the microseconds of one of `each` requests in the fastest of several repeats."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        for _ in range(rounds):
            await call()
        best = min(best, (time.process_time() - started) / rounds / each)
    return best * 1e6


async def main() -> None:
    access = access_factory(Options(issuer="https://issuer", token_file=TOKENS))
    rows: list[tuple[str, AccessFactory | None, int, str, int]] = [
        ("access control off", None, 10, "endpoints", 0),
        ("on, 10 RoleBindings", access, 10, "endpoints", 0),
        ("on, 10,000 RoleBindings", access, 10_000, "endpoints", 0),
        ("and 200 policies, none about it", access, 10_000, "endpoints", 200),
        ("and 200 policies, 5 about it", access, 10_000, "configmaps", 200),
    ]
    print(f"{'CPU us of one request':<36} {'read':>8} {'list one':>9} {'create':>8}")
    for title, factory, bindings, about, policies in rows:
        async with running(factory, bindings, about, policies) as api:
            read = await best_us(api.read, 1, ROUNDS)
            listed = await best_us(api.list, 1, ROUNDS)
            created = await best_us(api.create, BATCH, ROUNDS // BATCH)
        print(f"{title:<36} {read:>8.1f} {listed:>9.1f} {created:>8.1f}")


if __name__ == "__main__":
    asyncio.run(main())
