"""Storage migrations: the decision alone, and the controller over a real API server that encrypts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.server import Config
from podium.base.http.client import HttpTransport
from podium.base.http.server import Server
from podium.client.client import Client
from podium.controllers.storage_version_migrator import STORAGE_VERSION_MIGRATOR, plan
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.machinery.feature_gates import FeatureGates
from podium.machinery.resource import Resource
from podium.machinery.runtime_config import RuntimeConfig
from podium.resources.apiextensions.customresourcedefinitions import CUSTOMRESOURCEDEFINITIONS
from podium.resources.catalogue import declared
from podium.resources.core.secrets import SECRETS
from podium.resources.storagemigration.storageversionmigrations import STORAGEVERSIONMIGRATIONS
from podium.runtime.controller import Environment
from podium.runtime.informer import Informers
from tests.apiserver.encryption.builders import encryption, provider, rule
from tests.apiserver.harness import PATIENCE_S, Api, api

GATES = FeatureGates.parse(["StorageVersionMigrator=true"], "1.36")
CONFIG = Config(
    feature_gates=GATES,
    runtime_config=RuntimeConfig.parse(["storagemigration.k8s.io/v1beta1=true"], declared(legacy=False)),
)


def migration(name: str, *conditions: str, created: str = "2026-01-01T00:00:00Z") -> Object:
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "status": {"conditions": [{"type": type, "status": "True"} for type in conditions]},
    }


@pytest.mark.parametrize(
    ("migrations", "finish", "begin", "run"),
    [
        ([], [], None, None),
        ([migration("a")], [], "a", None),
        ([migration("b"), migration("a")], [], "a", None),
        ([migration("a", created="2026-01-02T00:00:00Z"), migration("b")], [], "b", None),
        ([migration("a"), migration("b", "Running")], [], None, "b"),
        ([migration("a"), migration("b", "Running", "Succeeded")], ["b"], "a", None),
        ([migration("a", "Failed"), migration("b", "Succeeded")], [], None, None),
        ([migration("a", "Running", "Failed"), migration("b", "Running")], ["a"], None, "b"),
    ],
)
def test_one_at_a_time(
    migrations: list[Object], finish: list[str], begin: str | None, run: str | None
) -> None:
    found = plan(migrations)
    assert [meta.name(one) for one in found.finish] == finish
    assert (found.begin and meta.name(found.begin)) == begin
    assert (found.run and meta.name(found.run)) == run


@asynccontextmanager
async def controlled(folder: Path, key: str, *older: str) -> AsyncIterator[tuple[Api, Client]]:
    """Run a server that encrypts secrets and custom resources with `key`, and the controller."""
    rules = rule(["secrets", "*.example.com"], provider("aesgcm", key, *older))
    async with api(folder, config=CONFIG, encryption=encryption(folder, rules)) as running:
        server = Server(running.server.handler)
        await server.start("127.0.0.1", 0, None)
        client = Client(
            HttpTransport(f"http://127.0.0.1:{server.port}", ssl_context=None), user_agent="tester"
        )
        environment = Environment(client=client, informers=Informers(client))
        tasks = [
            asyncio.create_task(work)
            for work in (STORAGE_VERSION_MIGRATOR.run(environment), environment.informers.run())
        ]
        try:
            yield running, client
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await client.close()
            await server.stop()


def asked(name: str, resource: str, group: str = "") -> Object:
    about = {"resource": resource, **({"group": group} if group else {})}
    return {"metadata": {"name": name}, "spec": {"resource": about}}


async def until_over(client: Client, name: str) -> Object:
    """Return the migration once it is said to run no more."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await client.get(STORAGEVERSIONMIGRATIONS, name)
            condition = meta.find_condition(found, "Running")
            if condition is not None and condition["status"] == "False":
                return found
            await asyncio.sleep(0.01)


def states(found: Object) -> dict[str, tuple[str, str]]:
    conditions: list[Any] = found["status"]["conditions"]
    return {one["type"]: (one["status"], one["reason"]) for one in conditions}


def test_secrets_are_encrypted_with_the_new_key(tmp_path: Path) -> None:
    async def main() -> None:
        async with controlled(tmp_path, "key1") as (_, client):
            for number in range(40):
                name = f"s{number}"
                await client.create(SECRETS, {"metadata": {"name": name, "namespace": "default"}})
        async with controlled(tmp_path, "key2", "key1") as (running, client):
            before = await client.get(SECRETS, "s1", "default")
            await client.create(STORAGEVERSIONMIGRATIONS, asked("rotate", "secrets"))
            await client.create(STORAGEVERSIONMIGRATIONS, asked("second", "secrets"))
            found = await until_over(client, "rotate")
            assert states(found) == {
                "Running": ("False", "MigrationCompleted"),
                "Succeeded": ("True", "StorageVersionMigrationSucceeded"),
            }
            page = await running.store.list("/registry/secrets/")
            assert len(page.records) == 40
            assert all(one.value.startswith(b"k8s:enc:aesgcm:v1:key2:") for one in page.records)
            after = await client.get(SECRETS, "s1", "default")
            # Nothing but its version tells that it was written.
            assert before["metadata"].pop("resourceVersion") != after["metadata"].pop("resourceVersion")
            assert before == after
            # The next one finds nothing to write.
            await until_over(client, "second")
            assert (await running.store.list("/registry/secrets/")).records == page.records

    asyncio.run(main())


def test_what_cannot_be_migrated(tmp_path: Path) -> None:
    async def main() -> None:
        async with controlled(tmp_path, "key1") as (_, client):
            await client.create(
                STORAGEVERSIONMIGRATIONS, asked("reviews", "subjectaccessreviews", "authorization.k8s.io")
            )
            found = await until_over(client, "reviews")
            assert states(found)["Failed"] == ("True", "StorageVersionMigrationFailed")
            condition = meta.find_condition(found, "Failed")
            assert condition is not None
            assert condition["message"] == (
                'resource "authorization.k8s.io/v1, Resource=subjectaccessreviews" does not support '
                "discovery operations: [update patch list]"
            )

    asyncio.run(main())


def definition(*versions: str) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
            "versions": [
                {"name": name, "served": True, "storage": name == versions[-1], "schema": schema}
                for name in versions
            ],
        },
    }


def test_a_definition_forgets_versions_that_are_no_longer_stored(tmp_path: Path) -> None:
    widgets = Resource(
        group="example.com", version="v1", kind="Widget", plural="widgets", namespaced=True, schema=""
    )

    widget = {
        "apiVersion": widgets.api_version,
        "kind": widgets.kind,
        "metadata": {"name": "w", "namespace": "default"},
    }

    async def main() -> None:
        async with controlled(tmp_path, "key1") as (_, client):
            await client.create(CUSTOMRESOURCEDEFINITIONS, definition("v1"))
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    try:
                        await client.create(widgets, widget)
                    except NotFound:
                        await asyncio.sleep(0.01)
                    else:
                        break
                await client.patch(
                    CUSTOMRESOURCEDEFINITIONS,
                    "widgets.example.com",
                    {"spec": {"versions": definition("v1", "v2")["spec"]["versions"]}},
                )
                while True:
                    found = await client.get(CUSTOMRESOURCEDEFINITIONS, "widgets.example.com")
                    if found["status"]["storedVersions"] == ["v1", "v2"]:
                        break
                    await asyncio.sleep(0.01)
            await client.create(STORAGEVERSIONMIGRATIONS, asked("up", "widgets", "example.com"))
            assert states(await until_over(client, "up"))["Succeeded"][0] == "True"
            found = await client.get(CUSTOMRESOURCEDEFINITIONS, "widgets.example.com")
            assert found["status"]["storedVersions"] == ["v2"]
            condition = meta.find_condition(found, "StorageMigrating")
            assert condition is not None
            assert (condition["status"], condition["reason"]) == ("False", "MigrationSucceeded")

    asyncio.run(main())
