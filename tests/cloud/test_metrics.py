"""What is counted, under upstream's names."""

from __future__ import annotations

from podium.base.metrics import Registry
from podium.cloud.interface import InstanceMetadata
from podium.cloud.metrics import CloudMetrics
from podium.cloud.node import cloud_node
from podium.cloud.providers.fake import FakeCloud
from podium.cloud.route import node_route
from podium.cloud.service import service_lb
from podium.machinery import meta
from podium.resources.core.nodes import NODES
from podium.resources.core.services import SERVICES
from tests.cloud.builders import go, node, service, until
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi


def test_nodes_routes_and_balancers_are_counted() -> None:
    async def test() -> None:
        api, registry = FakeApi(), Registry()
        metrics = CloudMetrics(registry)
        fake = FakeCloud(known={"n1": InstanceMetadata(provider_id="fake://n1")})
        cloud = fake.cloud()
        assert cloud.instances and cloud.load_balancers and cloud.routes
        waits = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "effect": "NoSchedule"}
        api.put(NODES, node(taints=[waits]))
        api.put(SERVICES, service())
        await api.clock.advance(3)
        controllers = [
            cloud_node(cloud.instances, metrics=metrics),
            service_lb(cloud.load_balancers, "kubernetes", metrics=metrics),
            node_route(cloud.routes, "kubernetes", [], metrics=metrics),
        ]

        def value(name: str) -> str:
            lines = registry.text().decode().splitlines()
            return next((line.rpartition(" ")[2] for line in lines if line.startswith(f"{name} ")), "")

        async with running(api, controllers):
            await until(lambda: fake.balancers)
            fake.faults["update"] = [OSError("no answer")]
            api.put(NODES, node("n2"))
            await until(lambda: value("service_controller_nodesync_error_total") == "1")
            await until(lambda: meta.dig(api.all(NODES)[0], "spec", "providerID"))
        syncs = value("service_controller_loadbalancer_sync_total")
        assert int(syncs) >= 1
        assert value("service_controller_update_loadbalancer_host_latency_seconds_count") == syncs
        assert value("service_controller_nodesync_latency_seconds_count") != "0"
        assert value("route_controller_route_sync_total") == "1"
        for name in ("cloud_provider_taint_removal_delay", "initial_node_sync_delay"):
            assert value(f"node_controller_{name}_seconds_count") == "1"
            assert value(f"node_controller_{name}_seconds_sum") == "3"

    go(test)
