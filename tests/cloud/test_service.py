"""Load balancers come, follow their nodes, go; and are tried again when the cloud fails."""

from __future__ import annotations

from typing import Any

import pytest

from podium.cloud.balanced import (
    EXCLUDE_LABEL,
    FINALIZER,
    TO_BE_DELETED_TAINT,
    balanced_nodes,
    names_to_tell,
    needs_update,
    wants_balancer,
)
from podium.cloud.interface import ImplementedElsewhere, RetryAfter
from podium.cloud.providers.fake import FakeCloud
from podium.cloud.service import service_lb
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from podium.resources.core.services import SERVICES
from podium.runtime.controller import Controller
from tests.cloud.builders import go, node, reasons, service, told, until
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi

KEY = "default/web"


def controller(cloud: FakeCloud) -> Controller:
    balancers = cloud.cloud().load_balancers
    assert balancers is not None
    return service_lb(balancers, "kubernetes")


def status(api: FakeApi) -> Any:
    found = api.get(SERVICES, KEY)
    assert found is not None
    return (found["status"].get("loadBalancer") or {}).get("ingress")


@pytest.mark.parametrize(
    ("spec", "wants"),
    [
        ({"type": "LoadBalancer"}, True),
        ({"type": "LoadBalancer", "loadBalancerClass": "example.com/other"}, False),
        ({"type": "NodePort"}, False),
        ({"type": "ClusterIP"}, False),
    ],
    ids=str,
)
def test_who_wants_a_balancer(spec: Object, wants: bool) -> None:
    assert wants_balancer({"spec": spec}) is wants


PORT = {"name": "a", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": 30000}


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        ({}, False),
        ({"type": "ClusterIP"}, True),
        ({"loadBalancerClass": "example.com/x"}, True),
        ({"ports": [{**PORT, "port": 81}]}, True),
        ({"ports": [{**PORT, "nodePort": 30001}]}, True),
        ({"ports": [{**PORT, "targetPort": "http"}]}, True),
        ({"ports": [PORT, {**PORT, "name": "b", "port": 81}]}, True),
        ({"sessionAffinity": "ClientIP"}, True),
        ({"loadBalancerIP": "192.0.2.1"}, True),
        ({"loadBalancerSourceRanges": ["192.0.2.0/24"]}, True),
        ({"externalIPs": ["192.0.2.1"]}, True),
        ({"externalTrafficPolicy": "Local"}, True),
        ({"healthCheckNodePort": 30009}, True),
        ({"ipFamilies": ["IPv4", "IPv6"]}, True),
        ({"selector": {"app": "other"}}, False),
        ({"allocateLoadBalancerNodePorts": False}, False),
    ],
    ids=str,
)
def test_which_changes_matter(change: Object, matters: bool) -> None:
    old = service(ports=[PORT])
    assert needs_update(old, {**old, "spec": {**old["spec"], **change}}) is matters


@pytest.mark.parametrize(
    ("candidate", "balanced"),
    [
        (node(), True),
        (node(ready="False"), True),
        (node(labels={EXCLUDE_LABEL: "true"}), False),
        (node(labels={EXCLUDE_LABEL: ""}), False),
        (node(labels={EXCLUDE_LABEL: "false"}), True),
        (node(taints=[{"key": TO_BE_DELETED_TAINT, "effect": "NoSchedule"}]), False),
        (node(taints=[{"key": "other", "effect": "NoExecute"}]), True),
        ({**node(), "metadata": {"name": "n1", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, False),
    ],
)
def test_which_nodes_are_balanced(candidate: Object, balanced: bool) -> None:
    assert bool(balanced_nodes([candidate])) is balanced


def test_long_lists_of_nodes_are_shortened() -> None:
    assert names_to_tell([node("b"), node("a")]) == "[a b]"
    assert names_to_tell([node(f"n{i:02}") for i in range(23)]).endswith("n19 <3 more>]")


def test_a_balancer_comes_and_goes_with_its_service() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        api.put(NODES, node())
        api.put(SERVICES, service())
        async with running(api, [controller(cloud)]):
            await until(lambda: status(api))
            assert status(api) == [{"hostname": "web.default.example.com"}]
            assert meta.finalizers(api.table(SERVICES)[KEY]) == [FINALIZER]
            assert list(cloud.balancers.values()) == [["n1"]]
            await api.client().delete(SERVICES, "web", "default")
            await until(lambda: api.get(SERVICES, KEY) is None)
            await until(lambda: "DeletedLoadBalancer" in reasons(api))
        assert cloud.balancers == {}
        assert told(api) == [
            ("EnsuringLoadBalancer", "Ensuring load balancer"),
            ("EnsuredLoadBalancer", "Ensured load balancer"),
            ("DeletingLoadBalancer", "Deleting load balancer"),
            ("DeletedLoadBalancer", "Deleted load balancer"),
        ]

    go(test)


@pytest.mark.parametrize("other", [{"type": "ClusterIP"}, {"type": "NodePort"}], ids=str)
def test_another_type_loses_the_balancer(other: Object) -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        made = api.put(SERVICES, service())
        async with running(api, [controller(cloud)]):
            await until(lambda: status(api))
            await api.client().patch(SERVICES, "web", {"spec": other}, "default")
            await until(lambda: not meta.finalizers(api.table(SERVICES)[KEY]))
        assert status(api) is None
        assert meta.uid(made) not in cloud.balancers

    go(test)


def test_a_class_is_somebody_elses() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        api.put(SERVICES, service(loadBalancerClass="example.com/x"))
        api.put(SERVICES, service("second"))
        async with running(api, [controller(cloud)]):
            await until(lambda: api.table(SERVICES)["default/second"]["status"]["loadBalancer"])
        assert {about for _, about in cloud.calls} == {"default/second"}

    go(test)


def test_failures_are_told_and_tried_again_with_back_off() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        cloud.faults["ensure"] = [RuntimeError("no quota"), RuntimeError("no quota"), RetryAfter("slow", 40)]
        api.put(NODES, node())
        api.put(SERVICES, service())

        def tries() -> int:
            return sum(call == "ensure" for call, _ in cloud.calls)

        async with running(api, [controller(cloud)]):
            await until(lambda: "SyncLoadBalancerFailed" in reasons(api))
            assert (
                "SyncLoadBalancerFailed",
                "Error syncing load balancer: failed to ensure load balancer: no quota",
            ) in told(api)
            for seconds, count in ((4.0, 1), (1.5, 2), (8.5, 2), (2.0, 3), (38.0, 3)):
                await api.clock.advance(seconds)
                assert tries() == count
            assert status(api) is None
            await api.clock.advance(3.0)
            await until(lambda: status(api))

    go(test)


def test_a_delete_that_fails_keeps_the_finalizer() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        cloud.faults["delete"] = [RuntimeError("busy")]
        api.put(SERVICES, service())
        async with running(api, [controller(cloud)]):
            await until(lambda: status(api))
            await api.client().delete(SERVICES, "web", "default")
            await until(lambda: "SyncLoadBalancerFailed" in reasons(api))
            assert meta.finalizers(api.table(SERVICES)[KEY]) == [FINALIZER]
            await api.clock.advance(6)
            await until(lambda: api.get(SERVICES, KEY) is None)

    go(test)


def test_a_restart_finishes_what_was_begun() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        made = api.put(SERVICES, service())
        cloud.balancers[meta.uid(made)] = ["n1"]
        # Deleted while no manager ran.
        marked = meta.deep_copy(made)
        marked["metadata"] |= {"finalizers": [FINALIZER], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        api.put(SERVICES, marked)
        async with running(api, [controller(cloud)]):
            await until(lambda: api.get(SERVICES, KEY) is None)
        assert cloud.balancers == {}

    go(test)


def test_balancers_follow_the_nodes() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        api.put(NODES, node("n1"))
        made = api.put(SERVICES, service())

        def nodes() -> list[str] | None:
            return cloud.balancers.get(meta.uid(made))

        async with running(api, [controller(cloud)]):
            await until(lambda: nodes() == ["n1"])
            api.put(NODES, node("n2"))
            await until(lambda: nodes() == ["n1", "n2"])
            api.put(NODES, node("n2", labels={EXCLUDE_LABEL: "true"}))
            await until(lambda: nodes() == ["n1"])
            # A node that is not ready stays, and nobody is asked.
            before = len(cloud.calls)
            api.put(NODES, node("n1", ready="False"))
            await until(lambda: True)
            assert len(cloud.calls) == before
            api.remove(NODES, "n1")
            await until(lambda: nodes() == [])
            await until(lambda: "UnAvailableLoadBalancer" in reasons(api))
        assert ("UpdatedLoadBalancer", "Updated load balancer with new hosts") in told(api)

    go(test)


def test_an_update_that_fails_is_told_and_done_again() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        api.put(NODES, node("n1"))
        made = api.put(SERVICES, service())
        async with running(api, [controller(cloud)]):
            await until(lambda: status(api))
            cloud.faults["update"] = [RuntimeError("busy")]
            api.put(NODES, node("n2"))
            await until(lambda: cloud.balancers[meta.uid(made)] == ["n1", "n2"])
        assert (
            "UpdateLoadBalancerFailed",
            "Error updating load balancer with new hosts [n1 n2] [node names limited, total number of"
            " nodes: 2], error: busy",
        ) in told(api)

    go(test)


def test_what_is_done_elsewhere_is_left_alone() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        cloud.faults["ensure"] = [ImplementedElsewhere()]
        api.put(SERVICES, service())
        async with running(api, [controller(cloud)]):
            await until(lambda: ("ensure", KEY) in cloud.calls)
            await api.clock.advance(1000)
        assert status(api) is None
        assert "SyncLoadBalancerFailed" not in reasons(api)
        assert sum(call == "ensure" for call, _ in cloud.calls) == 1

    go(test)
