"""CBOR through a running server, where its gate is on; and that without the gate there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from podium.apiserver.server import Config
from podium.machinery.codec import cbor
from podium.machinery.errors import Object
from podium.machinery.feature_gates import FeatureGates
from tests.apiserver.harness import Api, Collector, api

CBOR = "application/cbor"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def run(directory: Path, scenario: Callable[[Api], Awaitable[None]], *, gate: bool = True) -> None:
    gates = FeatureGates.parse(["CBORServingAndStorage=true"] if gate else [], version="1.36")

    async def main() -> None:
        async with api(directory, config=Config(feature_gates=gates)) as server:
            await scenario(server)

    asyncio.run(main())


async def ask(
    server: Api, method: str, target: str, obj: Object | None = None, *, type: str = CBOR, accept: str = CBOR
) -> tuple[int, Any]:
    """Send and take CBOR; return the status and the decoded answer."""
    body = None if obj is None else cbor.encode(obj)
    response = await server.send(method, target, body, type=type, accept=accept)
    assert response.headers.get("content-type") == CBOR
    content = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    assert content.startswith(cbor.MAGIC)
    return response.status, cbor.decode(content)


def config_map(name: str, **data: str) -> Object:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data}


def test_create_get_list_delete(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        status, made = await ask(server, "POST", CONFIG_MAPS, config_map("a", key="value"))
        assert (status, made["data"]) == (201, {"key": "value"})
        assert made == await server.ok("GET", f"{CONFIG_MAPS}/a")
        made["data"] = {"key": "other"}
        status, changed = await ask(server, "PUT", f"{CONFIG_MAPS}/a", made)
        assert (status, changed["data"]) == (200, {"key": "other"})
        _, listed = await ask(server, "GET", CONFIG_MAPS)
        assert listed == await server.ok("GET", CONFIG_MAPS)
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        status, gone = await ask(server, "DELETE", f"{CONFIG_MAPS}/a", options)
        assert (status, gone["status"]) == (200, "Success")
        status, missing = await ask(server, "GET", f"{CONFIG_MAPS}/a")
        assert (status, missing["reason"]) == (404, "NotFound")

    run(tmp_path, scenario)


def test_apply_in_cbor(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        target = f"{CONFIG_MAPS}/a?fieldManager=tester"
        apply = "application/apply-patch+cbor"
        status, _ = await ask(server, "PATCH", target, config_map("a", one="1"), type=apply)
        assert status == 201
        status, made = await ask(server, "PATCH", target, config_map("a", two="2"), type=apply)
        assert (status, made["data"]) == (200, {"two": "2"})
        status, why = await ask(server, "PATCH", f"{CONFIG_MAPS}/a", config_map("a"), type=apply)
        assert (status, why["reason"]) == (422, "Invalid")
        response = await server.send("PATCH", target, b"\x01\x02", type=apply)
        assert response.status == 400

    run(tmp_path, scenario)


def test_a_watch_is_a_sequence_of_items(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        response = await server.send("GET", f"{CONFIG_MAPS}?watch=1", accept=CBOR)
        assert response.headers.get("content-type") == "application/cbor-seq"
        assert response.stream is not None
        client = _Items()
        stream = response.stream

        async def serve() -> None:
            await stream(client)

        task = asyncio.create_task(serve())
        await asyncio.sleep(0)
        await server.ok("POST", CONFIG_MAPS, config_map("a", key="value"))
        await server.ok("DELETE", f"{CONFIG_MAPS}/a")
        events = await client.expect(2)
        assert [(event["type"], event["object"]["data"]) for event in events] == [
            ("ADDED", {"key": "value"}),
            ("DELETED", {"key": "value"}),
        ]
        client.leave()
        await task

    run(tmp_path, scenario)


class _Items(Collector):
    """A client that reads CBOR: here each write is an item."""

    def write(self, data: bytes) -> None:
        assert data.startswith(cbor.MAGIC)
        # The object inside says itself what it is, too.
        assert data.count(cbor.MAGIC) == 2
        self.lines.append(cbor.decode(data))
        self.arrived.set()


def test_metadata_has_the_form_and_tables_have_not(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        await server.ok("POST", CONFIG_MAPS, config_map("a"))
        partial = "application/cbor;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        _, listed = await ask(server, "GET", CONFIG_MAPS, accept=partial)
        assert listed["kind"] == "PartialObjectMetadataList"
        table = "application/cbor;as=Table;g=meta.k8s.io;v=v1"
        response = await server.send("GET", CONFIG_MAPS, accept=table)
        assert response.status == 406
        assert b"application/cbor" in b"".join([response.body] if isinstance(response.body, bytes) else [])

    run(tmp_path, scenario)


def test_a_version_tells_what_it_has_in_cbor_and_the_rest_of_discovery_does_not(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        status, found = await ask(server, "GET", "/apis/apps/v1")
        assert (status, found["kind"]) == (200, "APIResourceList")
        assert (await server.send("GET", "/apis", accept=CBOR)).status == 406

    run(tmp_path, scenario)


def test_what_is_no_cbor_is_a_bad_request(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        for body in (b"", b"\xff", b"\xd9\xd9\xf7\x01", b"\xa1\x41a"):
            status, why = await server.call("POST", CONFIG_MAPS, body, type=CBOR)
            assert (status, why["reason"]) == (400, "BadRequest"), body

    run(tmp_path, scenario)


def test_custom_resources(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        version = {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "tabs.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"kind": "Tab", "plural": "tabs"},
                "versions": [version],
            },
        }
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        watching = await server.watch(f"{definitions}?watch=1")
        assert (await ask(server, "POST", definitions, definition))[0] == 201
        count, conditions = 0, ""
        while "Established" not in conditions:
            count += 1
            conditions = str((await watching.client.expect(count))[count - 1]["object"]["status"])
        tabs = "/apis/example.com/v1/namespaces/default/tabs"
        tab = {
            "apiVersion": "example.com/v1",
            "kind": "Tab",
            "metadata": {"name": "t"},
            "numbers": [1, 1.5, 2**40],
        }
        status, made = await ask(server, "POST", tabs, tab)
        assert (status, made["numbers"]) == (201, [1, 1.5, 2**40])
        strategic = "application/strategic-merge-patch+json"
        response = await server.send("PATCH", f"{tabs}/t", b"{}", type=strategic)
        assert response.status == 415
        assert isinstance(response.body, bytes)
        assert b"application/apply-patch+yaml, application/apply-patch+cbor" in response.body

    run(tmp_path, scenario)


def test_without_the_gate_there_is_none(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        assert (await server.send("GET", CONFIG_MAPS, accept=CBOR)).status == 406
        status, why = await server.call("POST", CONFIG_MAPS, cbor.encode(config_map("a")), type=CBOR)
        assert (status, why["reason"]) == (415, "UnsupportedMediaType")
        assert CBOR not in why["message"]
        apply = "application/apply-patch+cbor"
        status, _ = await server.call("PATCH", f"{CONFIG_MAPS}/a?fieldManager=t", b"\xa0", type=apply)
        assert status == 415

    run(tmp_path, scenario, gate=False)
