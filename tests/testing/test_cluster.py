"""The cluster that other projects' tests get."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from podium.client.kubeconfig import client_from_kubeconfig
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.testing import Cluster, ClusterFailed

POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {"containers": [{"name": "c", "image": "example.org/c:1"}]},
}


async def _run_a_pod(kubeconfig: str) -> tuple[int, str]:
    client = client_from_kubeconfig(kubeconfig, user_agent="test")
    try:
        nodes = await client.list(NODES)
        created = await client.create(PODS, POD)
        version = created["metadata"]["resourceVersion"]
        async with asyncio.timeout(20):
            async for event in client.watch(PODS, "default", resource_version=version):
                condition = meta.find_condition(event.object, "Ready")
                if condition is not None and condition["status"] == "True":
                    return len(nodes["items"]), event.object["status"]["phase"]
        raise AssertionError("the watch ended")
    finally:
        await client.close()


def test_a_pod_becomes_ready(cluster: Cluster) -> None:
    assert asyncio.run(_run_a_pod(str(cluster.kubeconfig))) == (1, "Running")


def test_nothing_is_left_when_it_ends() -> None:
    with Cluster(simulated_nodes=0) as cluster:
        assert _processes_of(cluster) > 0
    assert not cluster.state_dir.exists()
    assert _processes_of(cluster) == 0


def _processes_of(cluster: Cluster) -> int:
    listed = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    return listed.count(f"{cluster.state_dir}/pki/ca.crt")


def test_a_cluster_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with Cluster(simulated_nodes=0) as first:
        monkeypatch.setattr("podium.testing.cluster._free_port", lambda: first.port)
        with pytest.raises(ClusterFailed, match="in use"):
            Cluster(simulated_nodes=0).start()
