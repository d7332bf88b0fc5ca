"""The status and the scale of custom resources, as upstream's server answers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.apiserver.harness import Api, api

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/example.org/v1/namespaces/default/things"


async def _serve(running: Api) -> None:
    count = {"type": "object", "properties": {"replicas": {"x-kubernetes-preserve-unknown-fields": True}}}
    status = {"type": "object", "properties": {"n": {"type": "integer"}, "replicas": {"type": "number"}}}
    version: dict[str, Any] = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": count, "status": status}}},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
        },
        "additionalPrinterColumns": [{"name": "N", "type": "integer", "jsonPath": ".spec.replicas"}],
    }
    names = {"plural": "things", "singular": "thing", "kind": "Thing"}
    definition = {
        "metadata": {"name": "things.example.org"},
        "spec": {"group": "example.org", "scope": "Namespaced", "names": names, "versions": [version]},
    }
    await running.ok("POST", CRDS, definition)
    while (await running.send("GET", THINGS)).status == 404:
        await asyncio.sleep(0.01)


def _thing(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": name}, "spec": spec}


def test_a_status_is_checked_by_itself(tmp_path: Path) -> None:
    async def test() -> None:
        async with api(tmp_path) as running, asyncio.timeout(20):
            await _serve(running)
            made = await running.ok("POST", THINGS, _thing("a", replicas=1))
            status, answer = await running.call("PUT", f"{THINGS}/a/status", {**made, "status": {"n": "x"}})
            assert status == 422
            (cause,) = answer["details"]["causes"]
            assert cause["field"] == "status.n"
            assert cause["message"] == 'Invalid value: "string": n in body must be of type integer: "string"'
            status, answer = await running.call(
                "PUT", f"{THINGS}/a/status", {**made, "status": {"replicas": 1.5}}
            )
            (cause,) = answer["details"]["causes"]
            assert cause["message"] == (
                "Invalid value: 0: .status.replicas accessor error: 1.5 is of the type float64, "
                "expected int64"
            )
            kept = await running.ok("PUT", f"{THINGS}/a/status", {**made, "status": {"n": 2.0}})
            assert repr(kept["status"]["n"]) == "2"

    asyncio.run(test())


def test_what_has_no_replicas_has_no_scale(tmp_path: Path) -> None:
    async def test() -> None:
        async with api(tmp_path) as running, asyncio.timeout(20):
            await _serve(running)
            await running.ok("POST", THINGS, _thing("a"))
            status, answer = await running.call("GET", f"{THINGS}/a/scale")
            assert status == 500
            assert answer["message"] == (
                'Internal error occurred: the spec replicas field ".spec.replicas" does not exist'
            )
            listed = await running.ok("GET", "/apis/example.org/v1")
            assert [one["name"] for one in listed["resources"]] == ["things", "things/status", "things/scale"]

    asyncio.run(test())
