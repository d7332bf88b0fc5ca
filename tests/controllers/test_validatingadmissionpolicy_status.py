"""Type checking of policies: the decision alone, and the controller over a real API server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.server import ApiServer, Config
from podium.base.http.client import HttpTransport
from podium.base.http.server import Server
from podium.client.client import Client
from podium.controllers.common.openapi_types import resolved
from podium.controllers.validatingadmissionpolicy_status import (
    VALIDATINGADMISSIONPOLICY_STATUS,
    plan,
    resources_of,
)
from podium.machinery.cel.types import INT, Type, object_of
from podium.machinery.errors import Object
from podium.resources.admissionregistration.validatingadmissionpolicies import VALIDATINGADMISSIONPOLICIES
from podium.runtime.controller import Environment
from podium.runtime.informer import Informers
from podium.store.sqlite import SqliteStore

DEPLOYMENT = ("apps", "v1", "Deployment")
TYPES: dict[tuple[str, str, str], Type] = {
    DEPLOYMENT: object_of("Deployment", {"spec": object_of("Spec", {"replicas": INT})})
}


def policy(name: str, *validations: Object, **spec: Any) -> Object:
    rules = [
        {
            "apiGroups": ["apps"],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["deployments", "deployments/status"],
        }
    ]
    made = {"matchConstraints": {"resourceRules": rules}, "validations": list(validations), **spec}
    return {"metadata": {"name": name}, "spec": made}


CASES = [
    pytest.param({"expression": "object.spec.replicas > 1"}, {}, id="fits"),
    pytest.param(
        {"expression": "object.spec.replicas > '1'"},
        {"expression": "found no matching overload for '_>_' applied to '(int, string)'"},
        id="expression",
    ),
    pytest.param(
        {"expression": "true", "messageExpression": "'got ' + object.spec.replicas"},
        {"messageExpression": "found no matching overload for '_+_' applied to '(string, int)'"},
        id="message",
    ),
    pytest.param(
        {"expression": "variables.replicas > '1'"},
        {"expression": "found no matching overload for '_>_' applied to '(int, string)'"},
        id="variable",
    ),
    pytest.param({"expression": "object.nosuch"}, {"expression": "undefined field 'nosuch'"}, id="field"),
]


@pytest.mark.parametrize(("validation", "expected"), CASES)
def test_plan(validation: Object, expected: Object) -> None:
    variables = [{"name": "replicas", "expression": "object.spec.replicas"}]
    warnings = plan(policy("p", validation, variables=variables), TYPES, None)
    assert {one["fieldRef"].removeprefix("spec.validations[0].") for one in warnings} == set(expected)
    for one, text in zip(warnings, expected.values(), strict=True):
        assert one["warning"].startswith("apps/v1, Kind=Deployment: ERROR: <input>:1:")
        assert text in one["warning"]


def test_rules_with_wildcards_name_nothing() -> None:
    made = policy("p")
    assert resources_of(made) == [[("apps", "v1", "deployments")]]
    made["spec"]["matchConstraints"]["resourceRules"][0]["apiVersions"] = ["*"]
    assert resources_of(made) == []


def test_schemas_that_contain_themselves() -> None:
    child = {"allOf": [{"$ref": "#/components/schemas/Tree"}]}
    schemas: Object = {"Tree": {"type": "object", "properties": {"child": child}}}
    found = resolved(schemas["Tree"], schemas)["properties"]["child"]
    assert found["properties"]["child"] == {"x-kubernetes-int-or-string": True}


def test_should_type_check_validation_expressions(tmp_path: Path) -> None:
    async def test() -> None:
        store = await SqliteStore.open(tmp_path / "store.db")
        api = ApiServer(store, Config())
        await api.start()
        front = Server(api.handler)
        await front.start("127.0.0.1", 0, None)
        client = Client(HttpTransport(f"http://127.0.0.1:{front.port}", ssl_context=None))
        informers = Informers(client)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            environment = Environment(client=client, informers=informers)
            running = [
                group.create_task(informers.run()),
                group.create_task(VALIDATINGADMISSIONPOLICY_STATUS.run(environment)),
            ]
            fine = policy("fine", {"expression": "object.spec.replicas > 1"})
            confused = policy(
                "confused",
                {
                    "expression": "object.spec.replicas > '1'",
                    "messageExpression": "'wants replicas > 1, got ' + object.spec.replicas",
                },
            )
            for one in (fine, confused):
                await client.create(VALIDATINGADMISSIONPOLICIES, one)
            assert await checked(client, "fine") == {}
            warnings = (await checked(client, "confused"))["expressionWarnings"]
            assert [one["fieldRef"] for one in warnings] == [
                "spec.validations[0].expression",
                "spec.validations[0].messageExpression",
            ]
            assert "found no matching overload for '_>_' applied to '(int, string)'" in warnings[0]["warning"]
            for task in running:
                task.cancel()
        await client.close()
        await front.stop()
        await api.stop()
        await store.close()

    asyncio.run(test())


async def checked(client: Client, name: str) -> Any:
    """Return what type checking has come to, once it has."""
    first = await client.get(VALIDATINGADMISSIONPOLICIES, name)
    if "typeChecking" in first["status"]:
        return first["status"]["typeChecking"]
    version = first["metadata"]["resourceVersion"]
    async for event in client.watch(VALIDATINGADMISSIONPOLICIES, resource_version=version):
        if event.object["metadata"]["name"] == name and "typeChecking" in event.object["status"]:
            return event.object["status"]["typeChecking"]
    raise AssertionError("the watch has ended")
