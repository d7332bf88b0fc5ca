"""A small extension API server: HTTPS, discovery, one kind (flunders) with list, watch, create and delete, an
upgrade that echoes. It remembers who asked, as the front proxy told it."""

from __future__ import annotations

import asyncio
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from podium.base import pki
from podium.base.http.message import Headers, RawConnection, Request, Response, StreamWriter
from podium.base.http.server import Server

GROUP, VERSION = "wardle.example.com", "v1alpha1"
PATH = f"/apis/{GROUP}/{VERSION}"
API_SERVICE = f"{VERSION}.{GROUP}"
NAMESPACE, SERVICE = "wardle", "api"
FLUNDERS = f"{PATH}/namespaces/default/flunders"
TEMPLATE = f"{PATH}/namespaces/{{namespace}}/flunders"
SCHEMA = "com.example.wardle.v1alpha1.Flunder"
VERBS = ["create", "delete", "get", "list", "watch"]
STOP_WITHIN_S = 10.0

RESOURCE = {
    "resource": "flunders",
    "responseKind": {"group": GROUP, "version": VERSION, "kind": "Flunder"},
    "scope": "Namespaced",
    "singularResource": "flunder",
    "verbs": VERBS,
    "shortNames": ["fl"],
}
DEFINITIONS = {
    SCHEMA: {
        "description": "A flunder, which is what wardle serves.",
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "properties": {"reference": {"type": "string", "description": "To whom."}},
            },
        },
        "x-kubernetes-group-version-kind": [{"group": GROUP, "version": VERSION, "kind": "Flunder"}],
    },
    "com.example.wardle.Unused": {"type": "object"},
}


@dataclass(slots=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: Headers
    certificate: bytes | None


@dataclass(slots=True)
class Extension:
    """The server in a thread of its own. `start` and `stop` may alternate; the port stays."""

    directory: Path
    host: str = "127.0.0.1"
    aggregated_discovery: bool = True
    openapi_v3: bool = True
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    objects: dict[str, Any] = field(default_factory=dict)
    ca_pem: bytes = b""
    redirect_to: str = ""
    _revision: int = 1
    _watchers: list[asyncio.Queue[bytes]] = field(default_factory=list)
    _thread: threading.Thread | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None

    def __post_init__(self) -> None:
        ca = pki.create_ca("wardle-ca")
        names = [f"{SERVICE}.{NAMESPACE}.svc"]
        pair = pki.issue(ca, common_name=names[0], dns_names=names, server=True)
        (self.directory / "wardle.crt").write_bytes(pair.certificate_pem)
        (self.directory / "wardle.key").write_bytes(pair.key_pem)
        self.ca_pem = ca.certificate_pem

    # --- life

    def start(self, front_proxy_ca: Path | None = None) -> None:
        """Listen; return when connections are taken."""
        ready = threading.Event()

        async def serve() -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.directory / "wardle.crt", self.directory / "wardle.key")
            if front_proxy_ca is not None:
                context.load_verify_locations(front_proxy_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            server = Server(self._handle)
            await server.start(self.host, self.port, context)
            self.port = server.port
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            ready.set()
            await self._stop.wait()
            await server.stop()

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        self._thread.start()
        assert ready.wait(STOP_WITHIN_S)

    def stop(self) -> None:
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_WITHIN_S)
        assert not self._thread.is_alive()
        self._thread = None

    # --- requests

    async def _handle(self, request: Request) -> Response:
        self.seen.append(
            Seen(request.method, request.target, Headers(request.headers), request.peer_certificate)
        )
        if self.redirect_to:
            return Response(status=302, headers=Headers([("location", self.redirect_to)]))
        document = self._document(request)
        if document is not None:
            return document
        if request.path == f"{PATH}/echo":
            headers = Headers([("connection", "Upgrade"), ("upgrade", "echo")])
            return Response(status=101, headers=headers, upgrade=_echo)
        if request.path.startswith(f"{PATH}/") and "/flunders" in request.path:
            return await self._flunders(request)
        return _json({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}, 404)

    def _document(self, request: Request) -> Response | None:
        if request.path == "/apis":
            return self._everything(request)
        if request.path == PATH:
            named = {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder"}
            resources = [{**named, "verbs": VERBS, "shortNames": ["fl"]}]
            group_version = f"{GROUP}/{VERSION}"
            return _json(
                {
                    "kind": "APIResourceList",
                    "apiVersion": "v1",
                    "groupVersion": group_version,
                    "resources": resources,
                }
            )
        if request.path == "/openapi/v2":
            return _json(
                {
                    "swagger": "2.0",
                    "info": {"title": "wardle", "version": "1"},
                    "paths": {TEMPLATE: {"get": _operation()}, "/version/": {"get": {}}},
                    "definitions": DEFINITIONS,
                }
            )
        if self.openapi_v3 and request.path == "/openapi/v3":
            name = f"apis/{GROUP}/{VERSION}"
            return _json({"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}?hash=1"}}})
        if self.openapi_v3 and request.path == f"/openapi/v3/apis/{GROUP}/{VERSION}":
            return _json(
                {
                    "openapi": "3.0.0",
                    "info": {"title": "wardle", "version": "1"},
                    "paths": {TEMPLATE: {"get": _operation_v3()}},
                    "components": {"schemas": {SCHEMA: DEFINITIONS[SCHEMA]}},
                }
            )
        return None

    def _everything(self, request: Request) -> Response | None:
        if not self.aggregated_discovery or "apidiscovery" not in request.headers.get("accept"):
            return None
        versions = [{"version": VERSION, "resources": [RESOURCE], "freshness": "Current"}]
        response = _json(
            {
                "kind": "APIGroupDiscoveryList",
                "apiVersion": "apidiscovery.k8s.io/v2",
                "metadata": {},
                "items": [{"metadata": {"name": GROUP}, "versions": versions}],
            }
        )
        response.headers.set(
            "content-type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        )
        return response

    async def _flunders(self, request: Request) -> Response:
        name = request.path.partition("/flunders")[2].strip("/")
        if request.method == "POST":
            obj = orjson.loads(await request.read_body())
            self._revision += 1
            obj["metadata"]["resourceVersion"] = str(self._revision)
            obj["metadata"].setdefault("namespace", "default")
            self.objects[obj["metadata"]["name"]] = obj
            self._tell("ADDED", obj)
            return _json(obj, 201)
        if request.method == "DELETE":
            obj = self.objects.pop(name, None)
            if obj is not None:
                self._tell("DELETED", obj)
            return _json({"kind": "Status", "apiVersion": "v1", "status": "Success"})
        if name:
            found = self.objects.get(name)
            missing = {"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound"}
            return _json(found) if found else _json(missing, 404)
        if request.parameter("watch"):
            return Response(headers=Headers([("content-type", "application/json")]), stream=self._watch)
        return _json(
            {
                "kind": "FlunderList",
                "apiVersion": f"{GROUP}/{VERSION}",
                "metadata": {"resourceVersion": str(self._revision)},
                "items": list(self.objects.values()),
            }
        )

    def _tell(self, type: str, obj: Any) -> None:
        for watcher in self._watchers:
            watcher.put_nowait(orjson.dumps({"type": type, "object": obj}) + b"\n")

    async def _watch(self, writer: StreamWriter) -> None:
        events: asyncio.Queue[bytes] = asyncio.Queue(maxsize=100)
        self._watchers.append(events)
        gone = asyncio.ensure_future(writer.wait_closed())
        try:
            while not gone.done():
                event = asyncio.ensure_future(events.get())
                await asyncio.wait((event, gone), return_when=asyncio.FIRST_COMPLETED)
                if event.done():
                    writer.write(event.result())
                event.cancel()
        finally:
            gone.cancel()
            self._watchers.remove(events)


_ABOUT = {
    "operationId": "listFlunder",
    "x-kubernetes-action": "list",
    "x-kubernetes-group-version-kind": {"group": GROUP, "version": VERSION, "kind": "Flunder"},
}


def _operation() -> dict[str, Any]:
    return {**_ABOUT, "responses": {"200": {"schema": {"$ref": f"#/definitions/{SCHEMA}"}}}}


def _operation_v3() -> dict[str, Any]:
    reference = {"schema": {"$ref": f"#/components/schemas/{SCHEMA}"}}
    return {**_ABOUT, "responses": {"200": {"content": {"application/json": reference}}}}


async def _echo(connection: RawConnection) -> None:
    while data := await connection.read():
        await connection.write(data.upper())


def _json(value: Any, status: int = 200) -> Response:
    headers = Headers([("content-type", "application/json")])
    return Response(status=status, headers=headers, body=orjson.dumps(value))
