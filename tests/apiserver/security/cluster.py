"""A whole API server for attackers: all that guards it is on; spoken to in process or by socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from podium.apiserver import admission, authn
from podium.apiserver.access import access_factory
from podium.apiserver.http.subresources.streams import Streams
from podium.apiserver.server import ApiServer, Config
from podium.apiserver.streaming.kubelet import KubeletConnections
from podium.apiserver.streaming.proxy import Proxy
from podium.base import pki
from podium.base.http.message import Handler, Headers, Request, Response
from podium.base.http.server import Server
from podium.machinery.errors import Object
from podium.store.sqlite import SqliteStore
from tests.base.certs import authority

ROOT, ALICE, N1, N2 = "root", "alice", "n1", "n2"
TOKENS = (
    "root,root,1,system:masters",
    "alice,alice,2",
    'n1,system:node:n1,3,"system:nodes"',
    'n2,system:node:n2,4,"system:nodes"',
)
PATIENCE_S = 60.0
RBAC = "/apis/rbac.authorization.k8s.io/v1"
NS = "/api/v1/namespaces/default"


@dataclass(slots=True, kw_only=True)
class Cluster:
    """One server. `call` asks it as somebody."""

    api: ApiServer
    http: Server

    async def send(
        self,
        who: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        type: str = "application/json",
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Response:
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)

        async def read() -> bytes:
            return raw

        fields = [("authorization", f"Bearer {who}"), ("accept", "application/json"), *headers]
        if body is not None:
            fields.append(("content-type", type))
        request = Request(method=method, target=path, headers=Headers(fields), read_body=read)
        return await self.api.handler(request)

    async def call(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Return status and decoded body of an answer."""
        response = await self.send(who, method, path, body, **more)
        content = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        try:
            return response.status, orjson.loads(content) if content else None
        except orjson.JSONDecodeError:
            return response.status, content.decode(errors="replace")

    async def ok(self, method: str, path: str, body: Any = None, *, who: str = ROOT, **more: Any) -> Any:
        """As `call`, for what must succeed."""
        status, content = await self.call(who, method, path, body, **more)
        assert status < 300, content
        return content

    async def refused(self, who: str, method: str, path: str, body: Any = None, **more: Any) -> str:
        """As `call`, for what must be forbidden; return why."""
        status, content = await self.call(who, method, path, body, **more)
        assert status == 403, (status, content)
        return str(content["message"])

    async def grant(self, who: str, *rules: Object, namespace: str = "") -> None:
        """Let somebody do something, everywhere or in a namespace."""
        kind = "Role" if namespace else "ClusterRole"
        home = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
        plural = kind.lower() + "s"
        name = f"of-{who}-{len((await self.ok('GET', f'{home}/{plural}'))['items'])}"
        await self.ok("POST", f"{home}/{plural}", {"metadata": {"name": name}, "rules": list(rules)})
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": who}],
        }
        bindings = "rolebindings" if namespace else "clusterrolebindings"
        await self.ok("POST", f"{home}/{bindings}", binding)


@asynccontextmanager
async def cluster(
    directory: Path, *, kubelet: Handler | None = None, choice: admission.Choice | None = None
) -> AsyncIterator[Cluster]:
    """Run a server with namespace `default`; nodes n1 and n2 have `kubelet` for a kubelet."""
    store = await SqliteStore.open(directory / "store.db")
    options = authn.Options(issuer="https://issuer", token_file=TOKENS, signing_key=pki.create_signing_key())
    kubelets, proxy = KubeletConnections(authority().client_context()), Proxy()
    api = ApiServer(
        store,
        Config(),
        access=access_factory(options, plugins=choice),
        streams=Streams(kubelets, proxy),
    )
    http, backend = Server(api.handler, reads_at_once=True), Server(kubelet or _no_kubelet)
    await api.start()
    await http.start("127.0.0.1", 0, authority().server_context())
    await backend.start("127.0.0.1", 0, authority().server_context())
    made = Cluster(api=api, http=http)
    try:
        account = {"metadata": {"name": "default"}}
        await made.ok("POST", f"{NS}/serviceaccounts", account)
        for name in (N1, N2):
            await made.ok("POST", "/api/v1/nodes", {"metadata": {"name": name}})
            status = {
                "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": backend.port}},
            }
            await made.ok(
                "PATCH",
                f"/api/v1/nodes/{name}/status",
                {"status": status},
                type="application/merge-patch+json",
            )
        yield made
    finally:
        await http.stop()
        await backend.stop()
        await kubelets.close()
        await proxy.close()
        await api.stop()
        await store.close()


async def _no_kubelet(_request: Request) -> Response:
    return Response(status=404)


def run(directory: Path, attack: Callable[[Cluster], Awaitable[None]], **options: Any) -> None:
    """Let an attack loose on a fresh server."""

    async def whole() -> None:
        async with asyncio.timeout(PATIENCE_S), cluster(directory, **options) as made:
            await attack(made)

    asyncio.run(whole())


def pod(name: str = "p", node: str = "", **spec: Any) -> Object:
    if node:
        spec["nodeName"] = node
    containers = [{"name": "c", "image": "registry/image:1"}]
    return {"metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def rule(verbs: str, groups: str, resources: str, *names: str) -> Object:
    made: Object = {
        "verbs": verbs.split(),
        "apiGroups": [group.removesuffix("core") for group in groups.split()],
        "resources": resources.split(),
    }
    return {**made, "resourceNames": list(names)} if names else made
