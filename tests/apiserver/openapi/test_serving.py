"""How the OpenAPI documents are answered: forms, hashes, caching."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver.openapi import gnostic
from podium.base.http.message import Headers, Request, Response
from podium.machinery.codec.protobuf_wire import fields
from tests.apiserver.harness import Api, api

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
NAME = "apis/coordination.k8s.io/v1"


async def get(server: Api, target: str, **headers: str) -> Response:
    fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return await server.server.handler(Request(method="GET", target=target, headers=Headers(fields)))


def body_of(response: Response) -> bytes:
    assert isinstance(response.body, bytes)
    return response.body


def run(directory: Path, check: Callable[[Api], Awaitable[None]]) -> None:
    async def main() -> None:
        async with api(directory) as server:
            await check(server)

    asyncio.run(main())


def test_the_index_names_each_documents_hash(tmp_path: Path) -> None:
    async def check(server: Api) -> None:
        index = await get(server, "/openapi/v3")
        url = orjson.loads(body_of(index))["paths"][NAME]["serverRelativeURL"]
        document = await get(server, url)
        etag = document.headers.get("etag").strip('"')
        assert url == f"/openapi/v3/{NAME}?hash={etag}"
        assert document.headers.get("cache-control") == "public, immutable"
        assert (await get(server, f"/openapi/v3/{NAME}")).headers.get("cache-control") == "no-cache, private"
        moved = await get(server, f"/openapi/v3/{NAME}?hash=OLD")
        assert (moved.status, moved.headers.get("location")) == (301, url)
        again = await get(server, "/openapi/v3", if_none_match=index.headers.get("etag"))
        assert (again.status, again.body) == (304, b"")

    run(tmp_path, check)


@pytest.mark.parametrize("path", ["/openapi/v2", f"/openapi/v3/{NAME}"])
def test_what_a_client_has_is_not_sent_again(tmp_path: Path, path: str) -> None:
    async def check(server: Api) -> None:
        first = await get(server, path, accept_encoding="gzip")
        assert first.headers.get("content-encoding") == "gzip"
        plain = await get(server, path)
        assert gzip.decompress(body_of(first)) == plain.body
        again = await get(server, path, if_none_match=first.headers.get("etag"))
        assert (again.status, again.body) == (304, b"")

    run(tmp_path, check)


@pytest.mark.parametrize(
    ("path", "accept", "encode"),
    [
        ("/openapi/v2", V2_PROTOBUF, gnostic.v2),
        (f"/openapi/v3/{NAME}", V3_PROTOBUF, gnostic.v3),
        ("/openapi/v2", V2_PROTOBUF.replace("v2@v1", "v2.v1"), gnostic.v2),
    ],
)
def test_protobuf_is_the_same_document(
    tmp_path: Path, path: str, accept: str, encode: Callable[[Any], bytes]
) -> None:
    async def check(server: Api) -> None:
        response = await get(server, path, accept=f"{accept}, application/json")
        dotted = accept.replace("@", ".")
        assert response.headers.get("content-type") == dotted
        document = orjson.loads(body_of(await get(server, path)))
        assert response.body == encode(document)
        assert (await get(server, path)).headers.get("etag") == response.headers.get("etag")

    run(tmp_path, check)


def test_forms_that_nobody_has_are_refused(tmp_path: Path) -> None:
    async def check(server: Api) -> None:
        assert (await get(server, "/openapi/v2", accept="application/yaml")).status == 406
        assert (await get(server, "/openapi/v3/apis/none/v1")).status == 404
        posted = await server.server.handler(Request(method="POST", target="/openapi/v2"))
        assert posted.status == 405

    run(tmp_path, check)


def test_a_definition_changes_its_own_document_alone(tmp_path: Path) -> None:
    async def hashes(server: Api) -> Any:
        return orjson.loads(body_of(await get(server, "/openapi/v3")))["paths"]

    async def define(server: Api, description: str) -> None:
        name = "things.stable.example.com"
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        schema = {"type": "object", "description": description}
        definition = {
            "metadata": {"name": name},
            "spec": {
                "group": "stable.example.com",
                "scope": "Namespaced",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
                ],
            },
        }
        current = await server.call("GET", path)
        if current[0] == 404:
            await server.ok("POST", path.rpartition("/")[0], definition)
        else:
            definition["metadata"] = current[1]["metadata"]
            await server.ok("PUT", path, definition)

    async def check(server: Api) -> None:
        before = await hashes(server)
        await define(server, "One.")
        async with asyncio.timeout(10):
            while (await get(server, "/apis/stable.example.com/v1")).status != 200:
                await asyncio.sleep(0)
        first = await hashes(server)
        await define(server, "Two.")
        second = await hashes(server)
        name = "apis/stable.example.com/v1"
        assert name not in before
        assert first[name] != second[name]
        assert all(second[other] == url for other, url in before.items())
        document = orjson.loads(body_of(await get(server, f"/openapi/v3/{name}")))
        schemas = document["components"]["schemas"]
        assert schemas["com.example.stable.v1.Thing"]["description"] == "Two."
        patch = document["paths"]["/apis/stable.example.com/v1/namespaces/{namespace}/things/{name}"]["patch"]
        assert "application/strategic-merge-patch+json" not in patch["requestBody"]["content"]

    run(tmp_path, check)


def test_those_who_ask_at_once_wait_for_one_document(tmp_path: Path) -> None:
    async def check(server: Api) -> None:
        asked = [get(server, "/openapi/v3/api/v1") for _ in range(8)]
        answers = await asyncio.gather(*asked)
        assert len({answer.body if isinstance(answer.body, bytes) else b"" for answer in answers}) == 1
        assert len(answers[0].body) > 100_000

    run(tmp_path, check)


def test_values_of_gnostic_messages() -> None:
    schema = {
        "properties": {"a": {"$ref": "#/components/schemas/b"}, "c": {"default": False, "minimum": -1}},
        "x-kubernetes-list-type": "map",
        "unknown": 1,
    }
    raw = gnostic.v3({"components": {"schemas": {"s": schema}}})

    def below(data: bytes, *path: int) -> list[Any]:
        found: list[Any] = [data]
        for number in path:
            found = [
                value for one in found for known, _, value in fields(one, 0, len(one)) if known == number
            ]
        return found

    schemas = below(raw, 5, 1, 1)
    assert below(schemas[0], 1) == [b"s"]
    properties = below(schemas[0], 2, 1, 31, 1)
    assert below(properties[0], 2, 2, 1) == [b"#/components/schemas/b"]
    assert below(properties[1], 2, 1, 33, 2) == [0], "a default of false is there"
    assert below(properties[1], 2, 1, 13) == [bytes.fromhex("000000000000f0bf")]
    assert below(schemas[0], 2, 1, 36, 2, 2) == [b'"map"']
