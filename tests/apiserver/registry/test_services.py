"""Addresses and ports of Services."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.registry.special.address_pool import AddressPool
from podium.apiserver.registry.special.services import ServiceAllocator
from podium.machinery.errors import InternalError, Invalid, Object
from podium.resources.core.services import SERVICES as RESOURCE
from podium.resources.networking.servicecidrs import SERVICECIDRS
from tests.apiserver.fakes import FakeView
from tests.apiserver.harness import api

SERVICES = "/api/v1/namespaces/default/services"


def service(**spec: Any) -> Object:
    return {"metadata": {"name": "s"}, "spec": {"type": "ClusterIP", "ports": [{"port": 80}], **spec}}


def allocator(view: FakeView) -> ServiceAllocator:
    cidrs, chance = FakeView(SERVICECIDRS), random.Random(1)
    cidrs.put({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.0.0.0/29"]}})
    pool = AddressPool(ipaddress.ip_network("10.0.0.0/29"), cidrs, chance=chance)
    return ServiceAllocator(view, pool, node_port_range=(30000, 30002), chance=chance)


def test_a_range_is_used_up_to_its_last_address_and_then_freed_again() -> None:
    view = FakeView(RESOURCE)
    allocates = allocator(view)
    made = []
    for number in range(6):
        one = {**service(), "metadata": {"name": f"s{number}"}}
        done = allocates.allocate(one, None)
        view.put(one)
        done()
        made.append(one)
    assert {one["spec"]["clusterIP"] for one in made} == {f"10.0.0.{number}" for number in range(1, 7)}
    full = 'failed to allocate a serviceIP for Service "s": range is full'
    with pytest.raises(InternalError, match=full):
        allocates.allocate(service(), None)
    view.remove("", "s2")
    last = service()
    allocates.allocate(last, None)
    assert last["spec"]["clusterIP"] == made[2]["spec"]["clusterIP"]


def test_an_address_in_flight_is_taken_and_a_failed_write_gives_it_back() -> None:
    allocates = allocator(FakeView(RESOURCE))
    undo = allocates.allocate(service(clusterIP="10.0.0.3"), None)
    with pytest.raises(Invalid, match=r"failed to allocate IP 10\.0\.0\.3: provided IP is already allocated"):
        allocates.allocate(service(clusterIP="10.0.0.3"), None)
    undo()
    allocates.allocate(service(clusterIP="10.0.0.3"), None)


def test_node_ports_are_kept_on_update_and_dropped_with_the_type() -> None:
    view = FakeView(RESOURCE)
    allocates = allocator(view)
    old = service(type="NodePort")
    done = allocates.allocate(old, None)
    view.put(old)
    done()
    port = old["spec"]["ports"][0]["nodePort"]
    same = service(type="NodePort")
    allocates.allocate(same, old)()
    assert same["spec"]["ports"][0]["nodePort"] == port
    assert same["spec"]["clusterIP"] == old["spec"]["clusterIP"]
    plain = service(ports=[{"port": 80, "nodePort": port}])
    allocates.allocate(plain, old)()
    assert "nodePort" not in plain["spec"]["ports"][0]


def test_one_service_port_in_two_protocols_shares_a_node_port() -> None:
    dns = service(type="NodePort", ports=[{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}])
    allocator(FakeView(RESOURCE)).allocate(dns, None)
    assert dns["spec"]["ports"][0]["nodePort"] == dns["spec"]["ports"][1]["nodePort"]


def test_many_at_once_never_get_the_same_address(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            made = await asyncio.gather(
                *(
                    server.ok(
                        "POST", SERVICES, {"metadata": {"name": f"s{n}"}, "spec": {"ports": [{"port": 80}]}}
                    )
                    for n in range(30)
                )
            )
            addresses = {one["spec"]["clusterIP"] for one in made}
            assert len(addresses) == 30
            shown = await server.ok("GET", "/apis/networking.k8s.io/v1/ipaddresses")
            assert addresses <= {item["metadata"]["name"] for item in shown["items"]}
            await server.ok("DELETE", f"{SERVICES}/s0")
            shown = await server.ok("GET", "/apis/networking.k8s.io/v1/ipaddresses")
            assert made[0]["spec"]["clusterIP"] not in {item["metadata"]["name"] for item in shown["items"]}

    asyncio.run(main())
