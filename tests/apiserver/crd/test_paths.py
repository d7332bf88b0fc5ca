"""A definition whose JSON paths are none is served all the same, and harms nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.apiserver.harness import api

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.org/v1/namespaces/default/widgets"
BAD = ".spec[?(nonsense"


def definition() -> dict[str, object]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "selectableFields": [{"jsonPath": BAD}],
        "additionalPrinterColumns": [{"name": "Bad", "type": "string", "jsonPath": BAD}],
        "subresources": {"scale": {"specReplicasPath": BAD, "statusReplicasPath": BAD}},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    return {
        "metadata": {"name": "widgets.example.org"},
        "spec": {"group": "example.org", "scope": "Namespaced", "names": names, "versions": [version]},
    }


def test_paths_that_are_none(tmp_path: Path) -> None:
    async def test() -> None:
        async with api(tmp_path) as running, asyncio.timeout(20):
            status, _ = await running.call("POST", CRDS, definition())
            if status == 201:
                while (await running.send("POST", WIDGETS, {"metadata": {"name": "a"}})).status == 404:
                    await asyncio.sleep(0.01)
            # Whether it was refused or is served: the server goes on.
            await running.ok("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
            await running.ok("GET", "/api/v1/namespaces/default/configmaps/a")

    asyncio.run(test())
