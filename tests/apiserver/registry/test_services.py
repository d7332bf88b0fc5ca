"""Addresses and ports of Services."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.chain import ViewChange
from podium.apiserver.registry.special.services import ServiceAllocator
from podium.machinery.errors import Invalid, Object
from tests.apiserver.harness import api

SERVICES = "/api/v1/namespaces/default/services"


class Services:
    """A view that the test fills."""

    def __init__(self) -> None:
        self._handlers: list[Callable[[ViewChange], None]] = []

    def get(self, namespace: str | None, name: str) -> Object | None:
        return None

    def list(self, namespace: str | None = None) -> Iterable[Object]:
        return ()

    def subscribe(self, handler: Callable[[ViewChange], None]) -> None:
        self._handlers.append(handler)

    def change(self, old: Object | None, new: Object | None) -> None:
        for handler in self._handlers:
            handler(ViewChange(old=old, new=new))


def service(**spec: Any) -> Object:
    return {"metadata": {"name": "s"}, "spec": {"type": "ClusterIP", "ports": [{"port": 80}], **spec}}


def allocator(view: Services, cidr: str = "10.0.0.0/29") -> ServiceAllocator:
    return ServiceAllocator(
        view, cluster_ip_range=cidr, node_port_range=(30000, 30002), chance=random.Random(1)
    )


def test_a_range_is_used_up_to_its_last_address_and_then_freed_again() -> None:
    view = Services()
    allocates = allocator(view)
    made = []
    for _ in range(6):
        one = service()
        done = allocates.allocate(one, None)
        view.change(None, one)
        done()
        made.append(one)
    assert {one["spec"]["clusterIP"] for one in made} == {f"10.0.0.{number}" for number in range(1, 7)}
    with pytest.raises(Exception, match="range is full"):
        allocates.allocate(service(), None)
    view.change(made[2], None)
    last = service()
    allocates.allocate(last, None)
    assert last["spec"]["clusterIP"] == made[2]["spec"]["clusterIP"]


def test_an_address_in_flight_is_taken_and_a_failed_write_gives_it_back() -> None:
    allocates = allocator(Services())
    undo = allocates.allocate(service(clusterIP="10.0.0.3"), None)
    with pytest.raises(Invalid, match=r"failed to allocate IP 10\.0\.0\.3: provided IP is already allocated"):
        allocates.allocate(service(clusterIP="10.0.0.3"), None)
    undo()
    allocates.allocate(service(clusterIP="10.0.0.3"), None)


def test_node_ports_are_kept_on_update_and_dropped_with_the_type() -> None:
    view = Services()
    allocates = allocator(view)
    old = service(type="NodePort")
    done = allocates.allocate(old, None)
    view.change(None, old)
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
    allocator(Services()).allocate(dns, None)
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
