"""Routes to the nodes' pods."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from podium.cloud.interface import Route
from podium.cloud.providers.fake import FakeCloud
from podium.cloud.route import node_route
from podium.cloud.route_plan import plan
from podium.machinery import meta
from podium.resources.core.nodes import NODES
from podium.runtime.controller import Controller
from tests.cloud.builders import go, node, told, until
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi

CIDRS = (ipaddress.ip_network("10.244.0.0/16"),)
ONE, TWO = "10.244.1.0/24", "10.244.2.0/24"


def route(cidr: str = ONE, to: str = "n1", **fields: Any) -> Route:
    return Route(target_node=to, destination_cidr=cidr, **fields)


OLD_ADDRESSES = ({"type": "InternalIP", "address": "10.9.9.9"},)


@pytest.mark.parametrize(
    ("cidrs", "routes", "deleted", "created"),
    [
        ([ONE], [], [], [ONE]),
        ([ONE], [route()], [], []),
        ([], [], [], []),
        ([], [route()], [ONE], []),
        ([TWO], [route()], [ONE], [TWO]),
        ([ONE], [route(to="other")], [ONE], [ONE]),
        ([ONE], [route(blackhole=True)], [ONE], []),
        ([ONE], [route("192.0.2.0/24", to="")], [], [ONE]),
        ([ONE], [route(), route("nonsense")], [], []),
        ([ONE], [route(target_addresses=OLD_ADDRESSES)], [], []),
        ([ONE], [route(target_addresses=OLD_ADDRESSES, by_address=True)], [ONE], [ONE]),
        ([ONE], [route(target_addresses=node()["status"]["addresses"], by_address=True)], [], []),
    ],
)
def test_plan(cidrs: list[str], routes: list[Route], deleted: list[str], created: list[str]) -> None:
    planned = plan([node(podCIDRs=cidrs)], routes, CIDRS)
    assert [r.destination_cidr for r in planned.delete] == deleted
    assert [r.destination_cidr for r in planned.create] == created


def controller(cloud: FakeCloud) -> Controller:
    routes = cloud.cloud().routes
    assert routes is not None
    return node_route(routes, "kubernetes", CIDRS)


def test_routes_come_after_failures_and_nodes_say_so() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        cloud.faults["create-route"] = [RuntimeError("no quota")]
        made = api.put(NODES, node(podCIDRs=[ONE]))
        cloud.routes.append(route(TWO, to="gone"))

        def says() -> Any:
            found = meta.find_condition(api.table(NODES)["n1"], "NetworkUnavailable") or {}
            return found.get("status"), found.get("reason"), found.get("message")

        async with running(api, [controller(cloud)]):
            await until(lambda: says()[0] == "True")
            assert says() == ("True", "NoRouteCreated", "RouteController failed to create a route")
            await until(lambda: told(api))
            [(reason, message)] = told(api)
            assert reason == "FailedToCreateRoute"
            assert message.startswith(f"Could not create route {meta.uid(made)} {ONE} for node n1 after ")
            assert message.endswith(": no quota")
            await api.clock.advance(10.5)
            await until(lambda: says()[0] == "False")
            assert says() == ("False", "RouteCreated", "RouteController created a route")
        assert [(r.target_node, r.destination_cidr) for r in cloud.routes] == [("n1", ONE)]
        assert meta.condition_true(api.table(NODES)["n1"], "Ready")

    go(test)


def test_routes_that_cannot_be_listed_are_asked_for_again() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        cloud.faults["list-routes"] = [RuntimeError("throttled")]
        api.put(NODES, node(podCIDRs=[ONE]))
        async with running(api, [controller(cloud)]):
            await until(lambda: cloud.calls)
            await api.clock.advance(1)
            await until(lambda: cloud.routes)

    go(test)
