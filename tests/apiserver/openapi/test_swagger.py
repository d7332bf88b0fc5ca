"""What upstream once served: declarations in Swagger 1.2, and the pages of Swagger UI."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from podium.apiserver.openapi.swagger12 import short
from podium.apiserver.openapi.swagger_ui import MISSING, PACKAGE, SwaggerUi, folder
from tests.apiserver.harness import api

POD = "/api/v1/namespaces/{namespace}/pods/{name}"


def test_the_index_and_a_declaration_of_swagger_1_2(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            index = await server.ok("GET", "/swaggerapi/")
            assert index["swaggerVersion"] == "1.2"
            paths = {one["path"]: one["description"] for one in index["apis"]}
            assert paths["/api/v1"] == "API at /api/v1"
            assert paths["/apis/apps"] == "get information of a group"
            assert "/version" in paths
            for path in paths:
                assert (await server.ok("GET", f"/swaggerapi{path}"))["resourcePath"] == path
            missing = await server.send("GET", "/swaggerapi/apis/none/v1")
            posted = await server.send("POST", "/swaggerapi")
            assert (missing.status, posted.status) == (404, 405)

    asyncio.run(main())


def test_operations_and_models_of_swagger_1_2(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            document = await server.ok("GET", "/swaggerapi/api/v1")
            assert (document["apiVersion"], document["basePath"]) == ("v1", "https://127.0.0.1:6443")
            (of_pod,) = [one for one in document["apis"] if one["path"] == POD]
            by_method = {one["method"]: one for one in of_pod["operations"]}
            assert sorted(by_method) == ["DELETE", "GET", "PATCH", "PUT"]
            assert by_method["GET"]["type"] == "v1.Pod"
            places = {one["name"]: one["paramType"] for one in by_method["PUT"]["parameters"]}
            assert (places["name"], places["namespace"]) == ("path", "path")
            assert (places["dryRun"], places["body"]) == ("query", "body")
            spec = document["models"]["v1.PodSpec"]
            assert spec["id"] == "v1.PodSpec"
            assert spec["properties"]["containers"]["items"] == {"$ref": "v1.Container"}
            assert spec["properties"]["nodeName"]["type"] == "string"
            known = set(document["models"])
            text = json.dumps(document)
            assert {part.split('"')[0] for part in text.split('"$ref": "')[1:]} <= known

    asyncio.run(main())


def test_short_names() -> None:
    assert short("io.k8s.api.core.v1.Pod") == "v1.Pod"


@pytest.fixture
def pages(tmp_path: Path) -> SwaggerUi:
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "secret.key", "index.html"):
        (tmp_path / name).write_text(name)
    return SwaggerUi(tmp_path)


@pytest.mark.parametrize(
    ("path", "status", "type"),
    [
        ("/swagger-ui", 301, ""),
        ("/swagger-ui/", 200, "text/html; charset=utf-8"),
        ("/swagger-ui/start.js", 200, "text/javascript; charset=utf-8"),
        ("/swagger-ui/swagger-ui.css", 200, "text/css; charset=utf-8"),
    ],
)
def test_pages(pages: SwaggerUi, path: str, status: int, type: str) -> None:
    response = pages.answer(path)
    assert response is not None
    assert (response.status, response.headers.get("content-type")) == (status, type)


@pytest.mark.parametrize("name", ["secret.key", "../swagger-ui.css", "..%2Fx", "none.js"])
def test_only_files_of_the_package_are_pages(pages: SwaggerUi, name: str) -> None:
    assert pages.answer(f"/swagger-ui/{name}") is None


def test_the_page_shows_this_servers_api(pages: SwaggerUi) -> None:
    page, start = pages.answer("/swagger-ui/"), pages.answer("/swagger-ui/start.js")
    assert page is not None
    assert start is not None
    assert b"start.js" in bytes(page.body)  # type: ignore[arg-type]
    assert b'url: "/openapi/v2"' in bytes(start.body)  # type: ignore[arg-type]


def test_without_the_flag_there_are_no_pages(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            assert (await server.send("GET", "/swagger-ui/")).status == 404

    asyncio.run(main())


@pytest.mark.skipif(folder() is None, reason="swagger-ui-bundle is not installed")
def test_the_packages_files_are_found() -> None:
    found = folder()
    assert found is not None
    response = SwaggerUi(found).answer("/swagger-ui/swagger-ui-bundle.js")
    assert response is not None
    assert len(bytes(response.body)) > 100_000  # type: ignore[arg-type]
    assert PACKAGE not in sys.modules


def test_the_flag_says_which_package_is_missing(tmp_path: Path) -> None:
    blocked = (
        "import sys; from podium.apiserver.openapi import swagger_ui; "
        "swagger_ui.PACKAGE = 'not_installed_anywhere'; "
        "from podium.cmd.kube_apiserver import main; sys.exit(main(sys.argv[1:]))"
    )
    flags = ["--enable-swagger-ui", "--tls-cert-file=x", "--tls-private-key-file=x"]
    done = subprocess.run(
        [sys.executable, "-c", blocked, *flags], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1] == f"kube-apiserver: error: {MISSING}"
