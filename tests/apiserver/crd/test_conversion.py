"""Conversion by webhooks over real TLS; with upstream's conformance tests of them by name."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from podium.base.http.message import Request, Response
from podium.base.http.server import Server
from podium.machinery.errors import Object
from tests.apiserver.admission.webhooks.hooks import CRDS, authority, serving, until_served
from tests.apiserver.harness import Api, api

V1, V2 = (f"/apis/stable.example.com/{one}/namespaces/default/e2e-tests" for one in ("v1", "v2"))


class Converter:
    """Splits `hostPort` of v1 into `host` and `port` of v2, and back, as upstream's test webhook does."""

    def __init__(self) -> None:
        self.asked: list[Object] = []
        self.spoil: Callable[[Object], Object] = lambda response: response
        self.server = Server(self._answer)

    async def _answer(self, request: Request) -> Response:
        review = orjson.loads(await request.read_body())
        self.asked.append(review)
        asked = review["request"]
        converted = [_converted(obj, asked["desiredAPIVersion"]) for obj in asked["objects"]]
        response = {"uid": asked["uid"], "result": {"status": "Success"}, "convertedObjects": converted}
        whole = {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": self.spoil(response)}
        return Response(body=orjson.dumps(whole))


def _converted(obj: Object, version: str) -> Object:
    new = {**obj, "apiVersion": version}
    if version.endswith("/v2") and "hostPort" in new:
        new["host"], _, new["port"] = new.pop("hostPort").partition(":")
    elif version.endswith("/v1") and "host" in new:
        new["hostPort"] = f"{new.pop('host')}:{new.pop('port')}"
    return new


def run(directory: Path, test: Callable[[Api, Converter], Awaitable[None]]) -> None:
    async def whole() -> None:
        converter = Converter()
        await converter.server.start("127.0.0.1", 0, serving())
        try:
            async with asyncio.timeout(30), api(directory) as running:
                await running.ok("POST", CRDS, definition(converter.server.port))
                await until_served(running, "/apis/stable.example.com/v1", "/apis/stable.example.com/v2")
                await test(running, converter)
        finally:
            await converter.server.stop()

    asyncio.run(whole())


def definition(port: int) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

    def version(name: str, *, storage: bool) -> Object:
        return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}}

    client = {
        "url": f"https://127.0.0.1:{port}/crdconvert",
        "caBundle": base64.b64encode(authority().certificate_pem).decode(),
    }
    names = {"plural": "e2e-tests", "singular": "e2e-test", "kind": "E2eTest"}
    return {
        "metadata": {"name": "e2e-tests.stable.example.com"},
        "spec": {
            "group": "stable.example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": [version("v1", storage=True), version("v2", storage=False)],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1", "v1beta1"]},
            },
        },
    }


def one(name: str, version: str = "v1", **fields: str) -> Object:
    metadata = {"name": name}
    return {"apiVersion": f"stable.example.com/{version}", "kind": "E2eTest", "metadata": metadata, **fields}


def test_should_be_able_to_convert_from_cr_v1_to_cr_v2(tmp_path: Path) -> None:
    async def test(running: Api, converter: Converter) -> None:
        await running.ok("POST", V1, one("a", hostPort="localhost:8080"))
        found = await running.ok("GET", f"{V2}/a")
        assert (found["host"], found["port"]) == ("localhost", "8080")
        assert "hostPort" not in found
        review = converter.asked[0]
        assert (review["apiVersion"], review["kind"]) == ("apiextensions.k8s.io/v1", "ConversionReview")
        assert review["request"]["desiredAPIVersion"] == "stable.example.com/v2"
        made = await running.ok("POST", V2, one("b", "v2", host="example.com", port="1"))
        assert made["host"] == "example.com"
        assert (await running.ok("GET", f"{V1}/b"))["hostPort"] == "example.com:1"
        page = running.server.metrics.registry.text().decode()
        converted = (
            'crd_name="e2e-tests.stable.example.com",from_version="v1",to_version="v2",succeeded="true"'
        )
        assert f"apiserver_crd_conversion_webhook_duration_seconds_count{{{converted}}}" in page
        assert 'apiserver_conversion_webhook_request_total{result="success",failure_type=""}' in page

    run(tmp_path, test)


def test_should_be_able_to_convert_a_non_homogeneous_list_of_crs(tmp_path: Path) -> None:
    async def test(running: Api, converter: Converter) -> None:
        await running.ok("POST", V1, one("a", hostPort="localhost:8080"))
        versions = [
            {"op": "replace", "path": "/spec/versions/0/storage", "value": False},
            {"op": "replace", "path": "/spec/versions/1/storage", "value": True},
        ]
        path = f"{CRDS}/e2e-tests.stable.example.com"
        await running.ok("PATCH", path, versions, type="application/json-patch+json")
        await running.ok("POST", V1, one("b", hostPort="localhost:8081"))
        for collection, key in ((V1, "hostPort"), (V2, "host")):
            listed = await running.ok("GET", collection)
            assert [key in item for item in listed["items"]] == [True, True]

    run(tmp_path, test)


MALFORMED = "conversion_webhook_malformed_response_failure"
SPOILT = [
    pytest.param(
        lambda response: {**response, "uid": "other"},
        'conversion webhook for stable.example.com/v1, Kind=E2eTest failed: expected response.uid="',
        MALFORMED,
        id="another-uid",
    ),
    pytest.param(
        lambda response: {**response, "result": {"status": "Failure", "message": "too old"}},
        "conversion webhook for stable.example.com/v1, Kind=E2eTest failed: too old",
        MALFORMED,
        id="refused",
    ),
    pytest.param(
        lambda response: {**response, "convertedObjects": []},
        "conversion webhook for stable.example.com/v1, Kind=E2eTest returned 0 objects, expected 1",
        "conversion_webhook_no_objects_returned_failure",
        id="lost",
    ),
]


@pytest.mark.parametrize(("spoil", "message", "counted"), SPOILT)
def test_bad_answers(tmp_path: Path, spoil: Callable[[Object], Object], message: str, counted: str) -> None:
    async def test(running: Api, converter: Converter) -> None:
        await running.ok("POST", V1, one("a", hostPort="localhost:8080"))
        converter.spoil = spoil
        status, body = await running.call("GET", f"{V2}/a")
        assert status == 500
        assert body["message"].startswith(message)
        page = running.server.metrics.registry.text().decode()
        failed = f'result="failure",failure_type="{counted}"'
        assert f"apiserver_conversion_webhook_request_total{{{failed}}} 1" in page

    run(tmp_path, test)


def test_nobody_there(tmp_path: Path) -> None:
    async def test(running: Api, converter: Converter) -> None:
        await running.ok("POST", V1, one("a", hostPort="localhost:8080"))
        port = converter.server.port
        await converter.server.stop()
        status, body = await running.call("GET", f"{V2}/a")
        assert status == 500
        why = f'Post "https://127.0.0.1:{port}/crdconvert?timeout=30s": dial tcp 127.0.0.1:{port}: '
        assert why + "connect: connection refused" in body["message"]

    run(tmp_path, test)
