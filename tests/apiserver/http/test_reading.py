"""Reads of which upstream's own server, asked the same, once said something else: a row for each."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from podium.base.http.message import Headers, Request, query_of
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from tests.apiserver.harness import Api, api

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAPS = "/api/v1/namespaces/default/configmaps"
ONE = f"{MAPS}/a"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
NO_INTEGER = 'strconv.ParseInt: parsing "": invalid syntax'
NO_VERSION = 'resourceVersion: Invalid value: "x": strconv.ParseUint: parsing "x": invalid syntax'
OTHER_NAME = "fieldSelector metadata.name doesn't match requested name"


def run(directory: Path, scenario: Callable[[Api], Awaitable[None]]) -> None:
    async def main() -> None:
        async with api(directory) as server:
            for name, level in (("a", "0"), ("b", "")):
                body = {"metadata": {"name": name, "labels": {"level": level}}}
                await server.ok("POST", MAPS, body)
            await scenario(server)

    asyncio.run(main())


def test_what_is_selected(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        for query, names in (
            ("labelSelector=level+in+()", ["b"]),
            ("labelSelector=level+notin+(),level", ["a"]),
            ("fieldSelector=metadata.name%3D", []),
            ("fieldSelector=metadata.name!%3D,metadata.name%3Da", ["a"]),
            ("fieldSelector=%3D,metadata.name%3Db", ["b"]),
            ("labelSelector=level%3D0;x", ["a", "b"]),
            ("labelSelector=level%3D%zz", ["a", "b"]),
        ):
            listed = await server.ok("GET", f"{MAPS}?{query}&labelSelector=level")
            assert [item["metadata"]["name"] for item in listed["items"]] == names, query

    run(tmp_path, scenario)


def test_nothing_is_deleted_that_has_an_empty_name(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        gone = await server.ok("DELETE", f"{MAPS}?fieldSelector=metadata.name%3D")
        assert gone["items"] == []
        assert len((await server.ok("GET", f"{MAPS}?labelSelector=level"))["items"]) == 2

    run(tmp_path, scenario)


def test_refusals(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        page = await server.ok("GET", f"{MAPS}?limit=1")
        token = page["metadata"]["continue"]
        for path, status, message in (
            (f"{MAPS}?limit=", 400, NO_INTEGER),
            (f"{MAPS}?timeoutSeconds=", 400, NO_INTEGER),
            (f"{MAPS}?resourceVersion=x", 400, f"invalid resource version: {NO_VERSION}"),
            (
                f"{MAPS}?resourceVersion=x&continue={token}",
                400,
                "specifying resource version is not allowed when using continue",
            ),
            (f"{MAPS}?watch=1&resourceVersion=x", 500, NO_VERSION),
            (
                f"{MAPS}?fieldSelector=a%3Db%3Dc",
                400,
                "invalid field selector: unescaped character in value: 61",
            ),
            (
                f"{MAPS}?fieldSelector=%5C%3Dx",
                400,
                r'"\\" is not a known field selector: only "metadata.name", "metadata.namespace"',
            ),
            (f"/api/v1/watch{ONE.removeprefix('/api/v1')}?fieldSelector=metadata.name%3Db", 400, OTHER_NAME),
            (
                "/apis/batch/v1/jobs?fieldSelector=a%3Db",
                400,
                'field label "a" not supported for Job',
            ),
            (
                "/apis/resource.k8s.io/v1/resourceslices?fieldSelector=a%3Db",
                400,
                "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: a",
            ),
            (
                "/apis/apps/v1/replicasets?fieldSelector=status.replicas%3D1",
                400,
                '"status.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"',
            ),
            (
                "/api/v1/namespaces?fieldSelector=metadata.namespace%3Da",
                400,
                "field label not supported: metadata.namespace",
            ),
            (f"{MAPS}/..", 400, "Name parameter invalid: \"..\": may not be '..'"),
            (f"{MAPS}/a%25b", 400, "Name parameter invalid: \"a%b\": may not contain '%'"),
        ):
            found, body = await server.call("GET", path)
            assert (found, body["message"]) == (status, message), path

    run(tmp_path, scenario)


def test_options_are_looked_at_before_the_fields_of_a_kind(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        status, body = await server.call("GET", f"{MAPS}?fieldSelector=no%3Dx&resourceVersionMatch=Exact")
        assert (status, body["reason"]) == (422, "Invalid")

    run(tmp_path, scenario)


def test_what_is_not_written_well_is_no_parameter() -> None:
    assert query_of("a=1;b=2&c=3&d=%zz&e=%7a&%=1") == {"c": ["3"], "e": ["z"]}


@pytest.mark.parametrize("value", ["x", "f", "F", "no", ""])
def test_any_value_but_false_and_0_asks_for_a_watch(value: str, tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        watching = await server.watch(f"{MAPS}?watch={value}&fieldSelector=metadata.name%3Da")
        (event,) = await watching.client.expect(1)
        assert event["type"] == "ADDED"
        await watching.end()

    run(tmp_path, scenario)


def test_whoever_accepts_nothing_is_told_in_words_for_people(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        offered = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
        streams = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
        for path, available in (
            (ONE, offered),
            (MAPS, f"{offered}, {streams}"),
            ("/version", "application/json"),
        ):
            response = await server.send("GET", path, accept="text/html")
            assert response.status == 406
            assert isinstance(response.body, bytes)
            assert response.body.startswith(b'{\n  "kind": "Status",\n')
            told = orjson.loads(response.body)["message"]
            assert told == f"406: Not Acceptable\n\nAvailable representations: {available}"

    run(tmp_path, scenario)


def test_an_error_has_no_other_form(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        accept = TABLE.replace("json", "yaml")
        response = await server.send("GET", f"{MAPS}/none", accept=accept)
        assert (response.status, response.headers.get("content-type")) == (404, "application/json")

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz/", 404),
        ("GET", "/healthz/ping/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/openapi/v2/", 404),
        ("GET", "/openapi/v3/", 404),
        ("GET", "/api//v1", 404),
        ("GET", "/apis//", 404),
        ("GET", "/api//", 200),
        ("GET", "/version/", 200),
        ("HEAD", "/", 200),
        ("HEAD", "/apis", 200),
        ("HEAD", "/apis/apps", 200),
        ("HEAD", "/apis/nope", 404),
        ("HEAD", "/api", 405),
        ("HEAD", ONE, 405),
        ("HEAD", f"{ONE}/status", 404),
        ("HEAD", "/api/v1/configmaps/a", 404),
        ("OPTIONS", "/nope", 404),
        ("POST", "/nope", 404),
        ("POST", "/apis/nope/v1", 404),
    ],
)
def test_paths(method: str, path: str, status: int, tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        assert (await server.send(method, path)).status == status

    run(tmp_path, scenario)


def test_a_description_that_is_known_is_not_sent_again(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        etag = (await server.send("GET", "/openapi/v3")).headers.get("etag")
        for known, status in (
            (etag, 304),
            (f"W/{etag}", 304),
            (f'"other", {etag}', 304),
            ("*", 304),
            (etag.strip('"'), 200),
            ("", 200),
        ):
            headers = Headers([("if-none-match", known)])
            request = Request(method="GET", target="/openapi/v3", headers=headers)
            response = await server.server.handler(request)
            assert response.status == status, known
            assert bool(response.headers.get("content-type")) is (status == 200)

    run(tmp_path, scenario)


def test_cells_of_what_is_there_but_empty() -> None:
    slice_ = {"metadata": {"name": "a"}, "ports": [{"name": ""}, {"port": 1, "name": "x"}, {}]}
    claim = {"metadata": {"name": "a"}, "spec": {"volumeAttributesClassName": ""}}
    for resource, obj, column, cell in (
        (ENDPOINTSLICES, slice_, "Ports", ",1,*"),
        (PERSISTENTVOLUMECLAIMS, claim, "VolumeAttributesClass", ""),
        (PERSISTENTVOLUMECLAIMS, {**claim, "spec": {}}, "VolumeAttributesClass", "<unset>"),
    ):
        value = next(one.value for one in resource.columns if one.name == column)
        assert value(obj, NOW) == cell


def test_component_statuses_have_every_form_of_a_list(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        path = "/api/v1/componentstatuses"
        partial = await server.ok("GET", path, accept=PARTIAL_LIST)
        assert (partial["kind"], partial["items"][0]["kind"]) == (
            "PartialObjectMetadataList",
            "PartialObjectMetadata",
        )
        table = await server.ok("GET", f"{path}?includeObject=None", accept=TABLE)
        assert table["rows"][0]["object"] is None
        typed = "application/vnd.kubernetes.protobuf, application/json"
        assert (await server.ok("GET", path, accept=typed))["kind"] == "ComponentStatusList"
        _, missing = await server.call("GET", f"{path}/none")
        assert missing["message"] == 'componentstatus "none" not found'

    run(tmp_path, scenario)


def test_rows_of_flow_schemas_stand_in_order_of_precedence(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        path = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas"
        table = await server.ok("GET", path, accept=TABLE)
        order = [(row["cells"][2], row["cells"][0]) for row in table["rows"]]
        assert order == sorted(order)
        assert order[0][1] == "exempt"

    run(tmp_path, scenario)


def test_a_list_of_one_name_ends_with_it(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        page = await server.ok("GET", f"{MAPS}?limit=1&fieldSelector=metadata.name%3Da")
        assert [item["metadata"]["name"] for item in page["items"]] == ["a"]
        assert "continue" not in page["metadata"]

    run(tmp_path, scenario)


def test_a_continue_token_is_written_as_upstreams(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        page = await server.ok("GET", "/api/v1/configmaps?limit=1&labelSelector=level")
        token = orjson.loads(base64.urlsafe_b64decode(page["metadata"]["continue"] + "=="))
        assert token["start"] == "/default/a\0"

    run(tmp_path, scenario)
