"""The OpenAPI documents of a whole server: complete, consistent, and named as upstream names them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.apiserver.harness import api

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
DEPLOYMENTS = "/apis/apps/v1/namespaces/{namespace}/deployments"
POD = "/api/v1/namespaces/{namespace}/pods/{name}"


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every document: `v2`, and those of v3 by name."""

    async def read(directory: Path) -> dict[str, Any]:
        async with api(directory) as server:
            found = {"v2": await server.ok("GET", "/openapi/v2")}
            index = await server.ok("GET", "/openapi/v3")
            for name, entry in index["paths"].items():
                found[name] = await server.ok("GET", entry["serverRelativeURL"])
            return found

    return asyncio.run(read(tmp_path_factory.mktemp("openapi")))


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key == "$ref" and isinstance(one, str):
                yield one
            else:
                yield from references(one)


def looked_up(document: Any, reference: str) -> Any:
    found = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_reference_leads_somewhere(documents: dict[str, Any]) -> None:
    for document in documents.values():
        for reference in set(references(document)):
            assert isinstance(looked_up(document, reference), dict)


def test_every_operation_has_a_name_of_its_own(documents: dict[str, Any]) -> None:
    ids = Counter(operation["operationId"] for _, _, operation in operations(documents["v2"]))
    assert [id for id, count in ids.items() if count > 1] == []
    assert len(ids) > 800


def test_v2_and_v3_describe_the_same_operations(documents: dict[str, Any]) -> None:
    second = {(path, method) for path, method, _ in operations(documents["v2"])}
    third = {
        (path, method)
        for name, document in documents.items()
        if name != "v2"
        for path, method, _ in operations(document)
    }
    assert second == third


def test_every_part_of_a_path_is_a_parameter(documents: dict[str, Any]) -> None:
    for document in documents.values():
        for path, item in document["paths"].items():
            parts = {part[1:-1] for part in path.split("/") if part.startswith("{")}
            known = [
                looked_up(document, one["$ref"]) if "$ref" in one else one
                for one in item.get("parameters", ())
            ]
            assert {one["name"] for one in known if one["in"] == "path"} == parts, path


def test_every_operation_says_what_it_does_and_that_it_may_be_refused(documents: dict[str, Any]) -> None:
    for document in documents.values():
        for path, _, operation in operations(document):
            assert operation["description"], path
            assert operation["responses"]["401"] == {"description": "Unauthorized"}
            if path.startswith(("/api/v1/namespaces", "/apis/apps/v1/namespaces")):
                assert operation["x-kubernetes-action"]
                assert set(operation["x-kubernetes-group-version-kind"]) == {"group", "version", "kind"}


@pytest.mark.parametrize(
    ("path", "method", "id", "action"),
    [
        (DEPLOYMENTS, "get", "listAppsV1NamespacedDeployment", "list"),
        (DEPLOYMENTS, "post", "createAppsV1NamespacedDeployment", "post"),
        (DEPLOYMENTS, "delete", "deleteAppsV1CollectionNamespacedDeployment", "deletecollection"),
        (f"{DEPLOYMENTS}/{{name}}", "get", "readAppsV1NamespacedDeployment", "get"),
        (f"{DEPLOYMENTS}/{{name}}/scale", "patch", "patchAppsV1NamespacedDeploymentScale", "patch"),
        (f"{DEPLOYMENTS}/{{name}}/status", "put", "replaceAppsV1NamespacedDeploymentStatus", "put"),
        ("/apis/apps/v1/deployments", "get", "listAppsV1DeploymentForAllNamespaces", "list"),
        ("/apis/apps/v1/watch/deployments", "get", "watchAppsV1DeploymentListForAllNamespaces", "watchlist"),
        (f"{POD}/exec", "post", "connectCoreV1PostNamespacedPodExec", "connect"),
        (f"{POD}/proxy/{{path}}", "get", "connectCoreV1GetNamespacedPodProxyWithPath", "connect"),
        (f"{POD}/log", "get", "readCoreV1NamespacedPodLog", "get"),
        (f"{POD}/eviction", "post", "createCoreV1NamespacedPodEviction", "post"),
        ("/apis/storage.k8s.io/v1/storageclasses/{name}", "delete", "deleteStorageV1StorageClass", "delete"),
        ("/apis/apps/v1/", "get", "getAppsV1APIResources", None),
        ("/apis/apps/", "get", "getAppsAPIGroup", None),
    ],
)
def test_operations_are_named_as_upstream_names_them(
    documents: dict[str, Any], path: str, method: str, id: str, action: str | None
) -> None:
    operation = documents["v2"]["paths"][path][method]
    assert (operation["operationId"], operation.get("x-kubernetes-action")) == (id, action)


def test_what_all_operations_of_a_path_take_stands_with_the_path(documents: dict[str, Any]) -> None:
    item = documents["apis/apps/v1"]["paths"][DEPLOYMENTS]
    assert [one["name"] for one in item["parameters"]] == ["namespace", "pretty"]
    assert [one["name"] for one in item["post"]["parameters"]] == [
        "dryRun",
        "fieldManager",
        "fieldValidation",
    ]
    watch = documents["apis/apps/v1"]["paths"]["/apis/apps/v1/watch/deployments"]
    assert "parameters" not in watch["get"]
    assert "resourceVersion" in [one["name"] for one in watch["parameters"]]


def test_v2_writes_shared_parameters_once(documents: dict[str, Any]) -> None:
    document = documents["v2"]
    post = document["paths"][DEPLOYMENTS]["post"]["parameters"]
    named = [one["name"] for one in post if "name" in one]
    assert named == ["body", "dryRun", "fieldValidation"], "kubectl looks for the last two right here"
    assert 30 < len(document["parameters"]) < 60


def test_merge_keys_and_list_types_are_there(documents: dict[str, Any]) -> None:
    for document, schemas in (
        (documents["v2"], documents["v2"]["definitions"]),
        (documents["api/v1"], documents["api/v1"]["components"]["schemas"]),
    ):
        assert document
        containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
        assert containers["x-kubernetes-patch-merge-key"] == "name"
        assert containers["x-kubernetes-list-map-keys"] == ["name"]
        assert containers["x-kubernetes-list-type"] == "map"


def test_v3_tells_defaults_and_v2_none(documents: dict[str, Any]) -> None:
    port = "io.k8s.api.core.v1.ContainerPort"
    properties = documents["api/v1"]["components"]["schemas"][port]["properties"]
    assert properties["protocol"]["default"] == "TCP"
    assert properties["containerPort"]["default"] == 0
    assert "default" not in properties["name"]
    pod = documents["api/v1"]["components"]["schemas"]["io.k8s.api.core.v1.Pod"]
    assert pod["properties"]["spec"]["default"] == {}
    assert b'"default"' not in orjson.dumps(documents["v2"]["definitions"][port])


def test_kinds_that_many_groups_share_are_told_for_the_group_at_hand(documents: dict[str, Any]) -> None:
    name = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
    kinds = documents["apis/apps/v1"]["components"]["schemas"][name]["x-kubernetes-group-version-kind"]
    assert [(kind["group"], kind["version"]) for kind in kinds] == [("", "v1"), ("apps", "v1")]
    assert len(documents["v2"]["definitions"][name]["x-kubernetes-group-version-kind"]) > 20


def test_values_of_two_types(documents: dict[str, Any]) -> None:
    name = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
    assert documents["v2"]["definitions"][name]["type"] == "string"
    third = documents["api/v1"]["components"]["schemas"][name]
    assert third["oneOf"] == [{"type": "integer"}, {"type": "string"}]
    assert "type" not in third
