"""A server that serves old API versions: each object is one object, whichever version it is asked for in."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver.server import Config
from podium.machinery.codec import protobuf
from podium.machinery.runtime_config import RuntimeConfig
from podium.resources.catalogue import BUILTIN, declared
from tests.apiserver.harness import Api, api

TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "nginx"}]},
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "extensions/v1beta1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {"replicas": 2, "template": TEMPLATE},
}
EXTENSIONS = "/apis/extensions/v1beta1/namespaces/default"
APPS = "/apis/apps/v1/namespaces/default"
NETWORKING = "/apis/networking.k8s.io/v1"


def served(*texts: str) -> Config:
    return Config(runtime_config=RuntimeConfig.parse(texts, declared(legacy=True)))


@asynccontextmanager
async def legacy(tmp_path: Path) -> AsyncIterator[Api]:
    async with api(tmp_path, config=served("api/legacy=true")) as running:
        yield running


def run(check: Any, tmp_path: Path) -> None:
    async def inside() -> None:
        async with legacy(tmp_path) as running:
            await check(running)

    asyncio.run(inside())


def test_off_unless_asked_for(tmp_path: Path) -> None:
    async def check() -> None:
        async with api(tmp_path) as running:
            assert (await running.send("GET", f"{EXTENSIONS}/deployments")).status == 404
            groups = await running.ok("GET", "/apis")
            assert "extensions" not in [group["name"] for group in groups["groups"]]

    asyncio.run(check())


def test_one_version_can_be_asked_for_alone(tmp_path: Path) -> None:
    async def check() -> None:
        async with api(tmp_path, config=served("extensions/v1beta1=true")) as running:
            await running.ok("GET", f"{EXTENSIONS}/deployments")
            other = "/apis/apps/v1beta1/namespaces/default/deployments"
            assert (await running.send("GET", other)).status == 404

    asyncio.run(check())


def test_an_old_deployment_is_a_new_one_too(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        response = await running.send("POST", f"{EXTENSIONS}/deployments", DEPLOYMENT)
        assert response.status == 201
        assert response.headers.get("warning") == (
            '299 - "extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; '
            'use apps/v1 Deployment"'
        )
        old = orjson.loads(response.body)  # type: ignore[arg-type]
        assert old["apiVersion"] == "extensions/v1beta1"
        new = await running.ok("GET", f"{APPS}/deployments/web")
        assert new["apiVersion"] == "apps/v1"
        assert new["spec"] == old["spec"]
        assert new["spec"]["progressDeadlineSeconds"] == 2147483647
        assert [entry["apiVersion"] for entry in new["metadata"]["managedFields"]] == ["extensions/v1beta1"]
        listed = await running.ok("GET", "/apis/apps/v1beta1/deployments")
        assert listed["kind"] == "DeploymentList"
        assert listed["apiVersion"] == "apps/v1beta1"
        assert [item["metadata"]["name"] for item in listed["items"]] == ["web"]
        other = await running.send("GET", f"{APPS}/deployments/web")
        assert not other.headers.get("warning")

    run(check, tmp_path)


def test_the_selector_of_an_old_deployment_may_change(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        old = await running.ok("POST", f"{EXTENSIONS}/deployments", DEPLOYMENT)
        old["spec"]["selector"] = {"matchLabels": {"app": "other"}}
        old["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        old = await running.ok("PUT", f"{EXTENSIONS}/deployments/web", old)
        new = {**old, "apiVersion": "apps/v1"}
        new["spec"]["selector"] = {"matchLabels": {"app": "third"}}
        new["spec"]["template"]["metadata"]["labels"] = {"app": "third"}
        status, refused = await running.call("PUT", f"{APPS}/deployments/web", new)
        assert status == 422
        assert refused["details"]["causes"][0]["field"] == "spec.selector"

    run(check, tmp_path)


def test_rolling_back_an_old_deployment(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        await running.ok("POST", f"{EXTENSIONS}/deployments", DEPLOYMENT)
        request = {
            "apiVersion": "extensions/v1beta1",
            "kind": "DeploymentRollback",
            "name": "web",
            "updatedAnnotations": {"why": "because"},
            "rollbackTo": {"revision": 2},
        }
        done = await running.ok("POST", f"{EXTENSIONS}/deployments/web/rollback", request)
        assert done["message"] == 'rollback request for deployment "web" succeeded'
        old = await running.ok("GET", f"{EXTENSIONS}/deployments/web")
        assert old["spec"]["rollbackTo"] == {"revision": 2}
        assert old["metadata"]["annotations"] == {"why": "because"}
        new = await running.ok("GET", f"{APPS}/deployments/web")
        assert new["metadata"]["annotations"]["deprecated.deployment.rollback.to"] == "2"
        status, refused = await running.call(
            "POST", f"{EXTENSIONS}/deployments/web/rollback", {**request, "name": ""}
        )
        assert (status, refused["details"]["causes"][0]["field"]) == (422, "name")

    run(check, tmp_path)


def test_the_scale_of_an_old_deployment(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        await running.ok("POST", f"{EXTENSIONS}/deployments", DEPLOYMENT)
        scale = await running.ok("GET", f"{EXTENSIONS}/deployments/web/scale")
        assert scale["apiVersion"] == "extensions/v1beta1"
        assert scale["status"] == {"replicas": 0, "selector": {"app": "web"}, "targetSelector": "app=web"}
        scale["spec"]["replicas"] = 5
        await running.ok("PUT", f"{EXTENSIONS}/deployments/web/scale", scale)
        new = await running.ok("GET", f"{APPS}/deployments/web")
        assert new["spec"]["replicas"] == 5

    run(check, tmp_path)


def test_applying_an_old_manifest_twice_and_changing_it_by_patches(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        target = f"{EXTENSIONS}/deployments/web?fieldManager=tester"
        apply = "application/apply-patch+yaml"
        await running.ok("PATCH", target, DEPLOYMENT, type=apply)
        again = await running.ok("PATCH", target, DEPLOYMENT, type=apply)
        assert again["metadata"]["managedFields"][0]["apiVersion"] == "extensions/v1beta1"
        image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "httpd"}]}}}}
        patched = await running.ok(
            "PATCH", f"{EXTENSIONS}/deployments/web", image, type="application/strategic-merge-patch+json"
        )
        assert [one["image"] for one in patched["spec"]["template"]["spec"]["containers"]] == ["httpd"]
        unknown: dict[str, Any] = {"spec": {"templat": {}}}
        status, refused = await running.call(
            "PATCH",
            f"{EXTENSIONS}/deployments/web?fieldValidation=Strict",
            unknown,
            type="application/merge-patch+json",
        )
        assert status == 422
        assert 'unknown field "spec.templat"' in refused["message"]

    run(check, tmp_path)


def test_an_old_ingress_changed_in_the_new_version(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        paths = [{"path": "/", "backend": {"serviceName": "web", "servicePort": 80}}]
        ingress = {
            "apiVersion": "networking.k8s.io/v1beta1",
            "kind": "Ingress",
            "metadata": {"name": "i"},
            "spec": {"rules": [{"host": "a.example", "http": {"paths": paths}}]},
        }
        target = "/apis/networking.k8s.io/v1beta1/namespaces/default/ingresses"
        await running.ok("POST", target, ingress)
        new = await running.ok("GET", f"{NETWORKING}/namespaces/default/ingresses/i")
        service = new["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
        assert service == {"name": "web", "port": {"number": 80}}
        service["port"] = {"name": "http"}
        await running.ok("PUT", f"{NETWORKING}/namespaces/default/ingresses/i", new)
        old = await running.ok("GET", f"{EXTENSIONS}/ingresses/i")
        assert old["spec"]["rules"][0]["http"]["paths"][0]["backend"] == {
            "serviceName": "web",
            "servicePort": "http",
        }

    run(check, tmp_path)


def test_watching_in_the_old_version(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        watching = await running.watch(f"{EXTENSIONS}/deployments?watch=1")
        new = {**DEPLOYMENT, "apiVersion": "apps/v1"}
        new["spec"] = {**new["spec"], "selector": {"matchLabels": {"app": "web"}}}
        await running.ok("POST", f"{APPS}/deployments", new)
        events = await watching.client.expect(1)
        assert (events[0]["type"], events[0]["object"]["apiVersion"]) == ("ADDED", "extensions/v1beta1")

    run(check, tmp_path)


def test_tables_and_protobuf_in_the_old_version(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        await running.ok("POST", f"{EXTENSIONS}/deployments", DEPLOYMENT)
        table = await running.ok(
            "GET",
            f"{EXTENSIONS}/deployments",
            accept="application/json;as=Table;g=meta.k8s.io;v=v1",
        )
        assert table["rows"][0]["cells"][:2] == ["web", "0/2"]
        media_type = "application/vnd.kubernetes.protobuf"
        response = await running.send("GET", f"{EXTENSIONS}/deployments/web", accept=media_type)
        assert isinstance(response.body, bytes)
        envelope = protobuf.unwrap(response.body)
        assert (envelope.api_version, envelope.kind) == ("extensions/v1beta1", "Deployment")
        decoded = protobuf.decode("io.k8s.api.extensions.v1beta1.Deployment", envelope.raw)
        assert decoded["spec"]["replicas"] == 2
        decoded["metadata"] = {"name": "copy"}
        raw = protobuf.encode("io.k8s.api.extensions.v1beta1.Deployment", decoded)
        body = protobuf.wrap("extensions/v1beta1", "Deployment", raw)
        await running.ok("POST", f"{EXTENSIONS}/deployments", body, type=media_type)

    run(check, tmp_path)


def test_old_definitions_define_resources_without_a_schema(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        definition: dict[str, Any] = {
            "apiVersion": "apiextensions.k8s.io/v1beta1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "crontabs.stable.example.com"},
            "spec": {
                "group": "stable.example.com",
                "version": "v1",
                "names": {"kind": "CronTab", "plural": "crontabs"},
            },
        }
        definitions = "/apis/apiextensions.k8s.io/v1beta1/customresourcedefinitions"
        name = definition["metadata"]["name"]
        watching = await running.watch(f"{definitions}?watch=1&fieldSelector=metadata.name={name}")
        await running.ok("POST", definitions, definition)
        count = 0
        conditions: dict[str, str] = {}
        while conditions.get("Established") != "True":
            count += 1
            event = (await watching.client.expect(count))[count - 1]
            found = event["object"]["status"].get("conditions") or ()
            conditions = {one["type"]: one["status"] for one in found}
        tab = {
            "apiVersion": "stable.example.com/v1",
            "kind": "CronTab",
            "metadata": {"name": "t"},
            "spec": {"anything": [1, {"goes": True}]},
        }
        made = await running.ok("POST", "/apis/stable.example.com/v1/namespaces/default/crontabs", tab)
        assert made["spec"] == tab["spec"]
        # The new version shows it, may label it, and would not have taken it.
        current = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        new = await running.ok("GET", f"{current}/{name}")
        assert new["spec"]["preserveUnknownFields"] is True
        new["metadata"]["labels"] = {"a": "b"}
        await running.ok("PUT", f"{current}/{name}", new)
        new["metadata"] = {"name": "crontabs.other.example.com"}
        new["spec"]["group"] = "other.example.com"
        status, _ = await running.call("POST", current, new)
        assert status == 422

    run(check, tmp_path)


def test_discovery_and_openapi_have_the_old_versions(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        groups = {group["name"]: group for group in (await running.ok("GET", "/apis"))["groups"]}
        versions = [one["version"] for one in groups["apps"]["versions"]]
        assert versions == ["v1", "v1beta2", "v1beta1"]
        assert groups["apps"]["preferredVersion"]["version"] == "v1"
        resources = (await running.ok("GET", "/apis/extensions/v1beta1"))["resources"]
        by_name = {resource["name"]: resource for resource in resources}
        assert by_name["deployments/scale"]["group"] == "extensions"
        assert by_name["deployments/rollback"]["kind"] == "DeploymentRollback"
        document = await running.ok("GET", "/openapi/v3/apis/extensions/v1beta1")
        schemas = document["components"]["schemas"]
        deployment = schemas["io.k8s.api.extensions.v1beta1.Deployment"]
        assert deployment["x-kubernetes-group-version-kind"] == [
            {"group": "extensions", "kind": "Deployment", "version": "v1beta1"}
        ]
        for definition in schemas.values():
            for found in _references(definition):
                assert found.removeprefix("#/components/schemas/") in schemas

    run(check, tmp_path)


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in _references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if "$ref" in value else []
    return own + [found for item in value.values() for found in _references(item)]


@pytest.mark.parametrize(
    ("texts", "known"),
    [
        ([], False),
        (["api/beta=true"], False),
        (["api/legacy=true"], True),
        (["api/all=true"], True),
        (["apps/v1beta1=true"], True),
    ],
    ids=["nothing", "a stage", "legacy", "all", "a version"],
)
def test_old_versions_are_loaded_only_when_they_may_be_meant(texts: list[str], known: bool) -> None:
    assert RuntimeConfig.may_speak_of_legacy(texts) is known
    config = RuntimeConfig.parse(texts, declared(legacy=known))
    assert config.may_name_legacy is known
    assert declared(legacy=False) is BUILTIN


@pytest.mark.parametrize("version", ["policy/v1", "policy/v1beta1"])
def test_an_eviction_may_come_in_either_version(version: str, tmp_path: Path) -> None:
    async def check() -> None:
        async with api(tmp_path) as running:
            pods = "/api/v1/namespaces/default/pods"
            pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
            await running.ok("POST", pods, pod)
            eviction = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": "p"}}
            assert (await running.ok("POST", f"{pods}/p/eviction", eviction))["status"] == "Success"

    asyncio.run(check())


def test_nothing_old_is_loaded_unless_asked_for() -> None:
    program = (
        "import sys; import podium.apiserver.server as server;"
        "config = server.Config(); assert not config.runtime_config.may_name_legacy;"
        "from podium.resources.catalogue import declared, packages;"
        "declared(legacy=False), packages(legacy=False);"
        "assert not [name for name in sys.modules if name.startswith('podium.resources.legacy')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# --- who owns what, across versions

APPLY = "application/apply-patch+yaml"
INGRESS = "apis/networking.k8s.io/{}/namespaces/default/ingresses/i"


def _ingress(version: str, service: str | None) -> dict[str, Any]:
    spec: dict[str, Any] = {"rules": [{"host": "a.example"}]}
    if service is not None and version == "v1":
        spec["defaultBackend"] = {"service": {"name": service, "port": {"number": 80}}}
    elif service is not None:
        spec["backend"] = {"serviceName": service, "servicePort": 80}
    kind = {"apiVersion": f"networking.k8s.io/{version}", "kind": "Ingress"}
    return {**kind, "metadata": {"name": "i"}, "spec": spec}


def _target(version: str, manager: str) -> str:
    return f"/{INGRESS.format(version)}?fieldManager={manager}"


def test_an_applier_that_changes_to_the_new_version_still_owns_what_it_leaves_out(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        await running.ok("PATCH", _target("v1beta1", "a"), _ingress("v1beta1", "web"), type=APPLY)
        new = await running.ok("PATCH", _target("v1", "a"), _ingress("v1", None), type=APPLY)
        assert new["spec"] == {"rules": [{"host": "a.example"}]}
        assert [entry["apiVersion"] for entry in new["metadata"]["managedFields"]] == ["networking.k8s.io/v1"]

    run(check, tmp_path)


def test_appliers_in_different_versions_conflict(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        await running.ok("PATCH", _target("v1beta1", "a"), _ingress("v1beta1", "web"), type=APPLY)
        status, why = await running.call("PATCH", _target("v1", "b"), _ingress("v1", "other"), type=APPLY)
        assert status == 409
        assert 'conflict with "a": .spec.defaultBackend.service.name' in why["message"]
        same = await running.ok("PATCH", _target("v1", "b"), _ingress("v1", "web"), type=APPLY)
        assert len(same["metadata"]["managedFields"]) == 2

    run(check, tmp_path)


def test_an_update_in_the_new_version_takes_what_it_changes_from_the_old_owner(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        await running.ok("PATCH", _target("v1beta1", "a"), _ingress("v1beta1", "web"), type=APPLY)
        change = {"spec": {"defaultBackend": {"service": {"name": "other"}}}}
        merge = "application/merge-patch+json"
        new = await running.ok("PATCH", _target("v1", "b"), change, type=merge)
        owners = {entry["manager"]: entry for entry in new["metadata"]["managedFields"]}
        assert "f:name" in str(owners["b"]["fieldsV1"])
        assert owners["a"]["fieldsV1"]["f:spec"] == {
            "f:defaultBackend": {"f:service": {"f:port": {}}},
            "f:rules": {},
        }

    run(check, tmp_path)


def test_where_fields_have_the_same_names_an_entry_keeps_its_version(tmp_path: Path) -> None:
    async def check(running: Api) -> None:
        target = f"{EXTENSIONS}/deployments/web?fieldManager=a"
        await running.ok("PATCH", target, DEPLOYMENT, type=APPLY)
        merge = "application/merge-patch+json"
        new = await running.ok(
            "PATCH", f"{APPS}/deployments/web?fieldManager=b", {"spec": {"replicas": 9}}, type=merge
        )
        owners = {entry["manager"]: entry for entry in new["metadata"]["managedFields"]}
        assert owners["a"]["apiVersion"] == "extensions/v1beta1"
        assert "f:replicas" not in owners["a"]["fieldsV1"]["f:spec"]
        assert "f:template" in owners["a"]["fieldsV1"]["f:spec"]

    run(check, tmp_path)
