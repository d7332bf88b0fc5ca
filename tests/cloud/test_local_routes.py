"""Routes between nodes that are network namespaces."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator

import pytest

from podium.cloud.interface import Route
from podium.cloud.providers.local_routes import LocalRoutes, gateway_of, parse_namespaces, routes_in
from podium.cloud.route import node_route
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from tests.cloud.builders import go, node
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi

OWNERS = {"192.0.2.1": "a", "192.0.2.2": "b", "192.0.2.3": "c"}
PODS = "10.244.2.0/24"


def test_which_namespace_is_whose() -> None:
    assert parse_namespaces("a=, b=ns-2") == {"a": "", "b": "ns-2"}
    for text in ("a", "=ns"):
        with pytest.raises(ValueError, match="is not NODE=NAMESPACE"):
            parse_namespaces(text)


@pytest.mark.parametrize(
    ("gateways", "target"),
    [
        ({"a": "192.0.2.2", "c": "192.0.2.2"}, "b"),
        ({"a": "192.0.2.2"}, ""),
        ({"a": "192.0.2.2", "c": "192.0.2.1"}, ""),
        ({"a": "192.0.2.99", "c": "192.0.2.99"}, ""),
        ({"a": "192.0.2.2", "b": "192.0.2.2", "c": "192.0.2.2"}, ""),
    ],
    ids=["everywhere", "not everywhere", "to two nodes", "to nobody", "in the target too"],
)
def test_where_a_route_leads(gateways: dict[str, str], target: str) -> None:
    tables = {name: {PODS: gateways[name]} if name in gateways else {} for name in "abc"}
    assert routes_in(tables, OWNERS) == [Route(target_node=target, destination_cidr=PODS)]


def test_the_gateway_is_of_the_destinations_family() -> None:
    addresses = [{"type": "InternalIP", "address": a} for a in ("192.0.2.2", "2001:db8::2")]
    assert (
        gateway_of(Route(target_node="b", destination_cidr=PODS, target_addresses=addresses)) == "192.0.2.2"
    )
    six = Route(target_node="b", destination_cidr="2001:db8:2::/64", target_addresses=addresses)
    assert gateway_of(six) == "2001:db8::2"
    with pytest.raises(ValueError, match="node b has no internal IPv4 address"):
        gateway_of(Route(target_node="b", destination_cidr=PODS))


SERVE = """
import socket
server = socket.create_server(("10.244.2.7", 7000))
print("ready", flush=True)
while True:
    server.accept()[0].sendall(b"hello")
"""
ASK = """
import socket, sys
sys.stdout.buffer.write(socket.create_connection(("10.244.2.7", 7000), 2, ("10.244.1.7", 0)).recv(9))
"""


def inside(namespace: str, program: str) -> list[str]:
    return ["ip", "netns", "exec", namespace, sys.executable, "-c", program]


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def namespaces() -> Iterator[tuple[str, str]]:
    """Two namespaces that share a link. In each, a pod's address is on the loopback interface."""
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    mark = secrets.token_hex(3)
    one, two = f"podium-test-{mark}-1", f"podium-test-{mark}-2"
    try:
        for name in (one, two):
            ip("netns", "add", name)
        ip("link", "add", "eth0", "netns", one, "type", "veth", "peer", "name", "eth0", "netns", two)
        for number, name in ((1, one), (2, two)):
            ip("-n", name, "address", "add", f"192.0.2.{number}/24", "dev", "eth0")
            ip("-n", name, "address", "add", f"10.244.{number}.7/32", "dev", "lo")
            for link in ("lo", "eth0"):
                ip("-n", name, "link", "set", link, "up")
        yield one, two
    finally:
        for name in (one, two):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def with_pods(name: str, number: int) -> Object:
    made = node(name, podCIDRs=[f"10.244.{number}.0/24"])
    made["status"]["addresses"] = [{"type": "InternalIP", "address": f"192.0.2.{number}"}]
    return made


def test_pods_of_one_namespace_reach_those_of_another(namespaces: tuple[str, str]) -> None:
    one, two = namespaces
    server = subprocess.Popen(inside(two, SERVE), stdout=subprocess.PIPE)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"

    def answers() -> bool:
        done = subprocess.run(inside(one, ASK), check=False, capture_output=True, timeout=30)
        return done.stdout == b"hello"

    async def test() -> None:
        api = FakeApi()
        for name, number in (("n1", 1), ("n2", 2)):
            api.put(NODES, with_pods(name, number))
        cidrs = [ipaddress.ip_network("10.244.0.0/16")]
        routes = LocalRoutes({"n1": one, "n2": two})
        ip("-n", one, "route", "add", "198.51.100.0/24", "via", "192.0.2.2")

        async def a_round() -> None:
            """Let the controller look once."""
            async with running(api, [node_route(routes, "kubernetes", cidrs)]) as runs:
                while not runs[0].counters.reconciles or not runs[0].queue.idle:
                    await asyncio.sleep(0.01)

        await a_round()
        assert answers()
        told = [meta.find_condition(one, "NetworkUnavailable") for one in api.all(NODES)]
        assert [(c or {}).get("reason") for c in told] == ["RouteCreated", "RouteCreated"]
        ip("-n", two, "route", "delete", "10.244.1.0/24")
        await a_round()
        assert answers(), "what somebody has taken away comes back"
        api.remove(NODES, "n2")
        await a_round()
        assert "10.244.2.0/24" not in ip("-n", one, "route")
        assert "198.51.100.0/24" in ip("-n", one, "route"), "others' routes stay"

    try:
        go(test)
    finally:
        server.kill()
        server.communicate()
