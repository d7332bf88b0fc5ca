"""Discovery, OpenAPI, health and the forms of answers, by calling the handler."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import orjson

from podium.base.http.message import Headers, Request
from tests.apiserver.harness import api

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def test_aggregated_discovery_is_not_sent_twice(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            first = await server.send("GET", "/apis", accept=DISCOVERY)
            headers = Headers([("accept", DISCOVERY), ("if-none-match", first.headers.get("etag"))])
            again = await server.server.handler(Request(method="GET", target="/apis", headers=headers))
            assert (first.status, again.status, again.body) == (200, 304, b"")

    asyncio.run(main())


def test_writes_are_described_with_field_validation(tmp_path: Path) -> None:
    """What kubectl looks for before it trusts the server to validate."""

    async def main() -> None:
        async with api(tmp_path) as server:
            index = await server.ok("GET", "/openapi/v3")
            where = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
            document = await server.ok("GET", where)
            path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
            patch = document["paths"][path]["patch"]
            assert "fieldValidation" in {one["name"] for one in patch["parameters"]}
            assert patch["x-kubernetes-group-version-kind"]["kind"] == "Deployment"
            schemas = document["components"]["schemas"]
            deployment = schemas["io.k8s.api.apps.v1.Deployment"]
            spec = deployment["properties"]["spec"]["allOf"][0]["$ref"]
            assert spec.removeprefix("#/components/schemas/") in schemas

    asyncio.run(main())


def test_every_reference_in_openapi_leads_somewhere(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            text = orjson.dumps(await server.ok("GET", "/openapi/v2")).decode()
            document = orjson.loads(text)
            references = {part.split('"')[0] for part in text.split('"$ref":"#/definitions/')[1:]}
            assert references <= set(document["definitions"])
            assert len(document["definitions"]) > 500

    asyncio.run(main())


def test_a_long_list_is_compressed_for_those_who_can(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            big = {"metadata": {"name": "big"}, "data": {"x": "y" * 200_000}}
            await server.ok("POST", CONFIGMAPS, big)
            headers = Headers([("accept", "application/json"), ("accept-encoding", "gzip")])
            response = await server.server.handler(Request(method="GET", target=CONFIGMAPS, headers=headers))
            assert response.headers.get("content-encoding") == "gzip"
            assert isinstance(response.body, bytes)
            assert len(response.body) < 20_000
            listed = orjson.loads(gzip.decompress(response.body))
            assert listed["items"][0]["data"] == big["data"]

    asyncio.run(main())


def test_yaml_and_tables(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            body = b"metadata: {name: a}\ndata: {k: v}\n"
            await server.ok("POST", CONFIGMAPS, body, type="application/yaml")
            shown = await server.send("GET", f"{CONFIGMAPS}/a", accept="application/yaml")
            assert isinstance(shown.body, bytes)
            assert b"data:\n  k: v\n" in shown.body
            table = await server.ok("GET", CONFIGMAPS, accept=TABLE)
            assert table["kind"] == "Table"
            assert table["rows"][0]["cells"][:2] == ["a", 1]

    asyncio.run(main())


def test_health_names_its_checks(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            response = await server.send("GET", "/readyz?verbose")
            assert isinstance(response.body, bytes)
            assert b"[+]etcd ok\n" in response.body
            assert (await server.send("GET", "/readyz/nosuch")).status == 404

    asyncio.run(main())


def test_every_answer_can_be_found_in_the_audit(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            one = await server.send("GET", CONFIGMAPS)
            other = await server.send("GET", f"{CONFIGMAPS}/nosuch")
            assert one.headers.get("audit-id") != other.headers.get("audit-id") != ""

    asyncio.run(main())
