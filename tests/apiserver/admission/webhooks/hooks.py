"""A webhook server over TLS in the test's loop, and an API server that admits by webhooks."""

from __future__ import annotations

import asyncio
import base64
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from cryptography import x509
from cryptography.x509.oid import NameOID

from podium.apiserver import admission
from podium.apiserver.chain import Decision, RequestInfo, User
from podium.apiserver.server import Config
from podium.base import pki
from podium.base.clock import Clock
from podium.base.http.message import Headers, Request, Response
from podium.base.http.server import Server
from podium.machinery.errors import Object
from tests.apiserver.harness import Api, api

MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SERVICE = "hook"

Reply = Callable[[Object], Object | Awaitable[Object]]
"""From a review's request to its response, uid apart."""


@cache
def authority() -> pki.KeyPair:
    return pki.create_ca("webhook-ca")


@cache
def serving() -> ssl.SSLContext:
    pair = pki.issue(
        authority(),
        common_name="hook",
        dns_names=["localhost", f"{SERVICE}.default.svc"],
        ip_addresses=["127.0.0.1"],
        server=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as directory:
        certificate, key = Path(directory) / "tls.crt", Path(directory) / "tls.key"
        certificate.write_bytes(pair.certificate_pem)
        key.write_bytes(pair.key_pem)
        context.load_cert_chain(certificate, key)
    context.load_verify_locations(cadata=authority().certificate_pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _common_name(request: Request) -> str:
    if request.peer_certificate is None:
        return ""
    subject = x509.load_der_x509_certificate(request.peer_certificate).subject
    return str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


class Hooks:
    """Webhooks by path; what they were asked is kept."""

    def __init__(self) -> None:
        self.replies: dict[str, Reply] = {}
        self.raw: dict[str, Response] = {}
        """Answers that are no reviews."""
        self.asked: list[tuple[str, Object]] = []
        self.queries: list[str] = []
        self.callers: list[tuple[str, str]] = []
        """The common name of each caller's certificate, and its Authorization header."""
        self.server = Server(self._answer)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    def requests(self, path: str) -> list[Object]:
        return [review["request"] for where, review in self.asked if where == path]

    def client(self, path: str) -> Object:
        """Return the clientConfig of the webhook at `path`."""
        return {"url": self.url + path, "caBundle": base64.b64encode(authority().certificate_pem).decode()}

    async def _answer(self, request: Request) -> Response:
        review = orjson.loads(await request.read_body())
        path = request.path
        self.asked.append((path, review))
        self.queries.append(request.raw_query)
        self.callers.append((_common_name(request), request.headers.get("authorization")))
        if path in self.raw:
            return self.raw[path]
        response = self.replies[path](review["request"])
        if not isinstance(response, dict):
            response = await response
        whole = {"uid": review["request"]["uid"], **response}
        body = orjson.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": whole})
        return Response(headers=Headers([("content-type", "application/json")]), body=body)


class AllowAll:
    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return Decision(allowed=True)


@asynccontextmanager
async def served(
    directory: Path,
    *,
    clock: Clock | None = None,
    choice: admission.Choice | None = None,
    config: Config | None = None,
) -> AsyncIterator[tuple[Api, Hooks]]:
    """Run an API server with the admission plugins, and a server of webhooks beside it."""

    def admitting(server: Any) -> None:
        server.registry.admission = admission.build(server.reader, AllowAll(), choice=choice)

    hooks = Hooks()
    await hooks.server.start("127.0.0.1", 0, serving())
    try:
        async with (
            asyncio.timeout(30),
            api(directory, clock=clock, config=config, prepare=admitting) as running,
        ):
            await running.call("POST", "/api/v1/namespaces", {"metadata": {"name": "default"}})
            account = {"metadata": {"name": "default"}}
            await running.call("POST", "/api/v1/namespaces/default/serviceaccounts", account)
            yield running, hooks
    finally:
        await hooks.server.stop()


def run(directory: Path, test: Callable[[Api, Hooks], Awaitable[None]], **options: Any) -> None:
    async def whole() -> None:
        async with served(directory, **options) as (running, hooks):
            await test(running, hooks)

    asyncio.run(whole())


# --- building


def rule(*resources: str, operations: list[str] | None = None, group: str = "", **more: Any) -> Object:
    return {
        "apiGroups": [group],
        "apiVersions": ["v1"],
        "operations": operations or ["CREATE"],
        "resources": list(resources),
        **more,
    }


def webhook(hooks: Hooks, path: str, *rules: Object, name: str = "", **more: Any) -> Object:
    return {
        "name": name or f"{path.strip('/')}.example.com",
        "clientConfig": hooks.client(path),
        "rules": list(rules),
        "sideEffects": "None",
        "admissionReviewVersions": ["v1", "v1beta1"],
        **more,
    }


def configuration(name: str, *webhooks: Object) -> Object:
    return {"metadata": {"name": name}, "webhooks": list(webhooks)}


def patch(*operations: Object, **more: Any) -> Object:
    """Return the response that allows a write and changes it."""
    encoded = base64.b64encode(orjson.dumps(list(operations))).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": encoded, **more}


def allow(_request: Object) -> Object:
    return {"allowed": True}


def deny(message: str, **status: Any) -> Reply:
    return lambda _request: {"allowed": False, "status": {"message": message, **status}}


def set_data(key: str, *, after: str = "") -> Reply:
    """Return a webhook that sets a key of an object's data, where `after` is set."""

    def reply(request: Object) -> Object:
        data = request["object"].get("data") or {}
        if after and data.get(after) != "yes":
            return {"allowed": True}
        if request["object"].get("data") is None:
            return patch({"op": "add", "path": "/data", "value": {key: "yes"}})
        return patch({"op": "add", "path": f"/data/{key}", "value": "yes"})

    return reply


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Object:
    metadata: Object = {"name": name, **({"labels": labels} if labels else {})}
    return {"metadata": metadata, "data": {key.replace("_", "-"): value for key, value in data.items()}}


def pod(name: str, container: str = "example") -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": container, "image": "pause"}]}}


async def define(running: Api, plural: str, kind: str, *versions: Object, scope: str = "Namespaced") -> None:
    """Define a custom resource and wait until it is served."""
    definition = {
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": plural, "singular": plural[:-1], "kind": kind},
            "versions": list(versions),
        },
    }
    await running.ok("POST", CRDS, definition)
    await until_served(running, *(f"/apis/example.com/{v['name']}" for v in versions if v["served"]))


async def until_served(running: Api, *paths: str) -> None:
    for path in paths:
        while (await running.send("GET", path)).status != 200:
            await asyncio.sleep(0.005)


def version(name: str, *, storage: bool = True, schema: Object | None = None) -> Object:
    open_schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": schema or open_schema},
    }
