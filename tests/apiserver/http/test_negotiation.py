"""What a client gets for what it accepts."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver.http.negotiation import CBOR, JSON, PROTOBUF, TYPES, YAML, accept_of, accepted
from podium.base.http.message import Headers, Request, Response
from podium.machinery.errors import NotAcceptable
from tests.apiserver.harness import Api, api

META = "g=meta.k8s.io;v=v1"


@pytest.mark.parametrize(
    ("accept", "media_type", "form"),
    [
        ("", JSON, ""),
        ("*/*", JSON, ""),
        ("application/yaml", YAML, ""),
        ("application/json;q=0.1, application/yaml;q=0.9", YAML, ""),
        ("*/*;q=0.9, application/yaml;q=0.2", YAML, ""),
        ("text/html, application/yaml;q=0.5, */*;q=0.9", JSON, ""),
        ("application/yaml, application/json;q=0", YAML, ""),
        ("application/json;q=0", JSON, ""),
        ("application/json;q=much, application/yaml;q=0.1", YAML, ""),
        ("application/*, application/yaml", YAML, ""),
        ("application/*;q=0.5, application/xml, application/json", JSON, ""),
        ("application/xml, application/json", JSON, ""),
        (f"application/json;as=Table;{META}, application/json", JSON, "Table"),
        (f"application/yaml;as=Table;{META}", YAML, "Table"),
        ("application/json;as=Table;g=meta.k8s.io;v=v2, application/yaml", YAML, ""),
        ("application/json;as=Table;g=meta.k8s.io;v=v1beta1", JSON, "Table"),
        (f"{PROTOBUF};as=Table;{META}, application/json", JSON, ""),
        (f"{PROTOBUF};as=PartialObjectMetadata;{META}", PROTOBUF, "PartialObjectMetadata"),
        ("application/json;charset=utf-8", JSON, ""),
        ("application/json;sv=v1", JSON, ""),
        ("application/json;stream=watch", JSON, ""),
    ],
    ids=str,
)
def test_the_most_wanted_of_what_there_is(accept: str, media_type: str, form: str) -> None:
    found = accepted(accept)
    assert (found.media_type, found.form) == (media_type, form)


@pytest.mark.parametrize(
    ("accept", "stream", "offered"),
    [
        (f"{PROTOBUF};as=Table;{META}", False, TYPES),
        (f"{CBOR};as=Table;{META}", False, (*TYPES, CBOR)),
        ("application/json;sv=v2", False, TYPES),
        ("application/json;stream=other", False, TYPES),
        ("application/yaml;stream=watch", False, TYPES),
        ("application/yaml", True, TYPES),
        ("application/xml", False, TYPES),
        ("application/JSON", False, TYPES),
        ("application/*", False, TYPES),
        (";", False, TYPES),
    ],
    ids=str,
)
def test_what_cannot_be_had(accept: str, stream: bool, offered: tuple[str, ...]) -> None:
    with pytest.raises(NotAcceptable):
        accepted(accept, offered, stream=stream)


def test_custom_resources_are_not_reached_through_the_router() -> None:
    assert accepted("application/*", routed=False).media_type == JSON
    with pytest.raises(NotAcceptable, match="only the following media types are accepted"):
        accepted("text/html", routed=False)


def test_of_a_header_without_end_the_beginning_counts() -> None:
    def asked(accept: str) -> str:
        return accept_of(Request(method="GET", target="/", headers=Headers([("accept", accept)])))

    assert asked("application/yaml, */*") == "application/yaml, */*"
    long = asked(", ".join([YAML, *["*/*"] * 100_000]))
    assert len(long) <= 512
    assert accepted(long).media_type == YAML
    assert asked("x" * 600) == ""


def test_what_a_watch_can_be_in_is_named() -> None:
    with pytest.raises(NotAcceptable, match="stream=watch, application/cbor-seq"):
        accepted(YAML, (*TYPES, CBOR), stream=True)


async def get(server: Api, target: str, **headers: str) -> Response:
    async def nothing() -> bytes:
        return b""

    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return await server.server.handler(
        Request(method="GET", target=target, headers=Headers(named), read_body=nothing)
    )


def content(response: Response) -> bytes:
    return response.body if isinstance(response.body, bytes) else b"".join(response.body)


def run(directory: Path, scenario: Callable[[Api], Awaitable[None]]) -> None:
    async def main() -> None:
        async with api(directory) as server:
            await scenario(server)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("agent", "query", "lines"),
    [
        ("tester/1", "", 1),
        ("tester/1", "?pretty=true", 2),
        ("tester/1", "?pretty=T", 2),
        ("curl/8.5.0", "", 2),
        ("curl/8.5.0", "?pretty=false", 1),
        ("Mozilla/5.0 (X11)", "", 2),
        ("Wget/1.21", "", 2),
    ],
)
def test_people_get_it_prettier(agent: str, query: str, lines: int, tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        for name in ("default", "none"):  # an object, and the Status that there is none
            body = content(await get(server, f"/api/v1/namespaces/{name}{query}", user_agent=agent))
            assert min(len(body.splitlines()), 2) == lines
            assert body.endswith(b"}\n"), "as Go's encoder ends what it writes"

    run(tmp_path, scenario)


@pytest.mark.parametrize("path", ["/version", "/"])
def test_documents_for_people_are_indented_for_everybody(path: str, tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        body = content(await get(server, path, user_agent="kubectl/v1.36.0"))
        assert body.startswith(b'{\n  "') and body.endswith(b"\n}\n")

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("encodings", "compressed"),
    [("gzip", True), ("deflate, gzip", True), ("", False), ("gzip;q=0", False), ("gzipped", False)],
)
def test_large_answers_are_compressed_for_those_who_take_it(
    encodings: str, compressed: bool, tmp_path: Path
) -> None:
    async def scenario(server: Api) -> None:
        target = "/api/v1/namespaces/default/configmaps"
        large: Any = {"metadata": {"name": "large"}, "data": {"text": "x" * 128 * 1024}}
        await server.ok("POST", target, large)
        await server.ok("POST", target, {"metadata": {"name": "small"}})
        response = await get(server, f"{target}/large", accept_encoding=encodings)
        assert (response.headers.get("content-encoding") == "gzip") is compressed
        body = content(response)
        assert orjson.loads(gzip.decompress(body) if compressed else body)["data"] == large["data"]
        small = await get(server, f"{target}/small", accept_encoding=encodings)
        assert not small.headers.get("content-encoding")

    run(tmp_path, scenario)


_AGGREGATED = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_all_of_discovery_at_once_and_only_when_it_has_changed(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        first = await get(server, "/apis", accept=f"application/json{_AGGREGATED}")
        assert first.headers.get("content-type") == f"application/json{_AGGREGATED}"
        assert first.headers.get("vary") == "Accept"
        etag = first.headers.get("etag")
        again = await get(server, "/apis", accept=f"application/json{_AGGREGATED}", if_none_match=etag)
        assert (again.status, content(again)) == (304, b"")
        assert again.headers.get("etag") == etag
        bare = await get(
            server, "/apis", accept=f"application/json{_AGGREGATED}", if_none_match=etag.strip('"')
        )
        assert bare.status == 200
        in_yaml = await get(server, "/apis", accept=f"application/yaml{_AGGREGATED}")
        assert in_yaml.headers.get("content-type") == f"application/yaml{_AGGREGATED}"
        assert content(in_yaml).startswith(b"apiVersion: apidiscovery.k8s.io/v2\n")
        assert in_yaml.headers.get("etag") == etag

    run(tmp_path, scenario)


def test_the_beta_of_aggregated_discovery_is_gone(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        beta = _AGGREGATED.replace("v=v2", "v=v2beta1")
        plain = await get(server, "/apis", accept=f"application/json{beta}, application/json")
        assert orjson.loads(content(plain))["kind"] == "APIGroupList"
        refused = await get(server, "/apis", accept=f"application/json{beta}")
        assert refused.status == 406

    run(tmp_path, scenario)


def test_who_scales_comes_before_those_who_have_a_time(tmp_path: Path) -> None:
    async def scenario(server: Api) -> None:
        target = "/apis/apps/v1/namespaces/default/deployments"
        labels = {"a": "b"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        made: Any = await server.ok("POST", target, {"metadata": {"name": "a"}, "spec": spec})
        made["metadata"]["managedFields"][0]["time"] = "2020-01-01T00:00:00Z"
        await server.ok("PUT", f"{target}/a", made)
        scale = await server.ok("GET", f"{target}/a/scale")
        scale["spec"]["replicas"] = 3
        await server.ok("PUT", f"{target}/a/scale", scale)
        entries = (await server.ok("GET", f"{target}/a"))["metadata"]["managedFields"]
        assert [entry.get("subresource") for entry in entries] == ["scale", None]
        assert [entry.get("time") for entry in entries] == [None, "2020-01-01T00:00:00Z"]

    run(tmp_path, scenario)
