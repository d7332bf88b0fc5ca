"""Simulated nodes: they register, hold leases, run pods at once, complete jobs, let go of the deleted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from podium.base.http.message import Request
from podium.kubelet.simulate import (
    RUN_SECONDS,
    Simulator,
    SimulatorSettings,
    node_names,
    serve,
    simulated_status,
)
from podium.machinery.errors import Object
from podium.resources.coordination.leases import LEASES
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from tests.kubelet.api import NodeApi
from tests.kubelet.node import make_pod
from tests.runtime.fakes import settle

APP: Object = {"name": "app", "image": "app:1"}
SETTINGS = SimulatorSettings(nodes=3, name_prefix="sim")


def simulating(test: Callable[[NodeApi], Awaitable[None]]) -> None:
    async def run() -> None:
        api = NodeApi()
        simulator = Simulator(api.node_client(), SETTINGS, clock=api.clock)
        task = asyncio.create_task(simulator.run())
        await settle(300)
        try:
            await test(api)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(run())


def pod_on(node: str, name: str = "web", **spec: object) -> Object:
    return make_pod(APP, name=name, nodeName=node, **spec)


def status(api: NodeApi, name: str = "web") -> Object:
    found = api.get(PODS, f"shop/{name}")
    assert found is not None
    held: Object = found.get("status") or {}
    return held


def test_nodes_register_ready_and_renew_their_leases() -> None:
    async def test(api: NodeApi) -> None:
        assert sorted(api.table(NODES)) == ["sim-1", "sim-2", "sim-3"]
        node = api.table(NODES)["sim-1"]
        assert node["metadata"]["labels"]["podium.dev/simulated"] == "true"
        assert [c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"] == ["True"]
        before = [lease["spec"]["renewTime"] for lease in api.all(LEASES)]
        await api.clock.advance(13)
        await settle(300)
        after = [lease["spec"]["renewTime"] for lease in api.all(LEASES)]
        assert len(before) == 3
        assert all(new > old for old, new in zip(before, after, strict=True))

    simulating(test)


def test_a_deleted_node_comes_back() -> None:
    async def test(api: NodeApi) -> None:
        api.remove(NODES, "sim-2")
        api.remove(LEASES, "kube-node-lease/sim-2")
        await api.clock.advance(15)
        await settle(300)
        await api.clock.advance(15)
        await settle(300)
        assert "sim-2" in api.table(NODES)

    simulating(test)


def test_pods_run_at_once_and_go_when_deleted() -> None:
    async def test(api: NodeApi) -> None:
        api.put(PODS, pod_on("sim-1", initContainers=[{"name": "init", "image": "i"}]))
        api.put(PODS, pod_on("elsewhere", "other"))
        await settle(300)
        found = status(api)
        assert found["phase"] == "Running"
        assert found["podIP"].startswith("100.")
        assert found["containerStatuses"][0]["ready"] is True
        assert "terminated" in found["initContainerStatuses"][0]["state"]
        assert status(api, "other") == {}
        api.mark_deleted("shop/web")
        await settle(300)
        assert api.get(PODS, "shop/web") is None

    simulating(test)


def test_a_job_ends_after_its_time_and_others_run_on() -> None:
    async def test(api: NodeApi) -> None:
        job = pod_on("sim-1", restartPolicy="Never")
        job["metadata"]["annotations"] = {RUN_SECONDS: "5"}
        service = pod_on("sim-1", "service")
        service["metadata"]["annotations"] = {RUN_SECONDS: "5"}
        api.put(PODS, job)
        api.put(PODS, service)
        await settle(300)
        assert status(api)["phase"] == "Running"
        await api.clock.advance(6)
        await settle(300)
        assert status(api)["phase"] == "Succeeded"
        assert status(api)["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
        assert status(api, "service")["phase"] == "Running"

    simulating(test)


def test_a_job_that_ends_before_its_start_is_written_ends() -> None:
    async def test(api: NodeApi) -> None:
        job = pod_on("sim-1", restartPolicy="Never")
        job["metadata"]["annotations"] = {RUN_SECONDS: "0"}
        api.put(PODS, job)
        await settle(300)
        assert status(api)["phase"] == "Succeeded"

    simulating(test)


def test_a_pod_that_is_ended_says_so_by_its_exit_code() -> None:
    pod = pod_on("sim-1", restartPolicy="Never")
    ended = simulated_status(pod, now="2026-01-01T00:00:00Z", ip="100.64.0.1", host_ip="", killed=True)
    assert ended["phase"] == "Failed"
    assert ended["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


def test_names_sort_as_their_numbers() -> None:
    names = node_names(SimulatorSettings(nodes=10, name_prefix="n"))
    assert names[0] == "n-01"
    assert names == sorted(names)


def test_logs_say_that_the_node_is_simulated() -> None:
    response = asyncio.run(serve(Request(method="GET", target="/containerLogs/shop/web/app")))
    assert isinstance(response.body, bytes)
    assert b"simulated node" in response.body
