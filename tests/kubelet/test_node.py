"""What a kubelet says of its node when a cloud has a say too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from podium.kubelet import machine
from podium.kubelet.cri.runtime import Image
from podium.kubelet.machine import Pressure
from podium.kubelet.node import NodeReporter
from podium.kubelet.node_status import NodeFacts, node_object
from podium.machinery.errors import Json
from podium.machinery.resource import Resource
from podium.resources.core.nodes import NODES
from tests.runtime.fakes import FakeApi, FakeClient, settle


def facts(directory: Path, *, external: bool) -> NodeFacts:
    return NodeFacts(
        name="n1",
        ips=("10.0.0.1",),
        port=10250,
        machine=machine.inspect(directory),
        runtime_version="fake://1",
        external_cloud=external,
    )


@pytest.mark.parametrize(
    ("external", "taints", "ip"),
    [
        (False, [], None),
        (True, ["node.cloudprovider.kubernetes.io/uninitialized"], "10.0.0.1"),
    ],
)
def test_a_node_waits_for_its_cloud(
    tmp_path: Path, external: bool, taints: list[str], ip: str | None
) -> None:
    made = node_object(facts(tmp_path, external=external))
    assert [taint["key"] for taint in made["spec"].get("taints", ())] == taints
    assert made["metadata"]["annotations"].get("alpha.kubernetes.io/provided-node-ip") == ip


class Recording(FakeClient):
    """Remembers whether each report of the status had addresses."""

    def __init__(self, api: FakeApi) -> None:
        super().__init__(api)
        self.with_addresses: list[bool] = []

    async def patch(self, resource: Resource, name: str, patch: Json, *args: Any, **options: Any) -> Any:
        if resource is NODES and "status" in patch:
            self.with_addresses.append("addresses" in patch["status"])
        return await super().patch(resource, name, patch, *args, **options)


@pytest.mark.parametrize(("external", "reports"), [(False, [True, True]), (True, [True, False])])
def test_addresses_are_the_clouds_once_they_are_there(
    tmp_path: Path, external: bool, reports: list[bool]
) -> None:
    async def images() -> list[Image]:
        return []

    async def go() -> None:
        api = FakeApi()
        client = Recording(api)
        reporter = NodeReporter(
            client,
            api.clock,
            facts(tmp_path, external=external),
            pressure=lambda: Pressure(memory_available_bytes=2**30, disk_free_share=0.5, pids_free_share=0.5),
            not_ready=list,
            images=images,
        )
        running = asyncio.ensure_future(reporter.run())
        await settle()
        await api.clock.advance(400)
        reporter.wake()
        await settle()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert client.with_addresses == reports

    asyncio.run(go())
