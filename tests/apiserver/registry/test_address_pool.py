"""Where Services' addresses come from: every range that is ready, the server's own one first."""

from __future__ import annotations

import asyncio
import ipaddress
import random
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.registry.special.address_figures import AddressFigures
from podium.apiserver.registry.special.address_pool import ALLOCATED, NOT_IN_RANGE, AddressPool
from podium.apiserver.server import Config
from podium.base.metrics import Registry
from podium.machinery.errors import Object
from podium.resources.networking.servicecidrs import SERVICECIDRS
from tests.apiserver.fakes import FakeView
from tests.apiserver.harness import Api, api

ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
SERVICES = "/api/v1/namespaces/default/services"


class Chance(random.Random):
    """Counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked = 0

    def randint(self, a: int, b: int) -> int:
        self.asked += 1
        return super().randint(a, b)


def service_cidr(name: str, *cidrs: str, ready: bool | None = True, deleting: bool = False) -> Object:
    """Return a ServiceCIDR; `ready` None: nobody has said anything of it yet."""
    metadata: Object = {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    said = [] if ready is None else [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "spec": {"cidrs": list(cidrs)}, "status": {"conditions": said}}


def pool(*ranges: Object, own: str = "10.0.0.0/29", chance: random.Random | None = None) -> AddressPool:
    view = FakeView(SERVICECIDRS)
    for one in ranges:
        view.put(one)
    return AddressPool(ipaddress.ip_network(own), view, chance=chance or random.Random(1))


def taken(from_: AddressPool) -> list[str]:
    """Take every address there is."""
    found = []
    while (address := from_.free()) is not None:
        from_.claim(address, 1)
        found.append(address)
    return found


def test_one_range_is_used_up_after_the_other_the_own_one_first() -> None:
    own, added = service_cidr("kubernetes", "10.0.0.0/30"), service_cidr("a", "10.9.0.0/30")
    both = pool(added, own, own="10.0.0.0/30")
    found = taken(both)
    assert sorted(found[:2]) == ["10.0.0.1", "10.0.0.2"]
    assert sorted(found[2:]) == ["10.9.0.1", "10.9.0.2"]
    both.claim("10.9.0.1", -1)
    assert both.free() == "10.9.0.1"


@pytest.mark.parametrize(
    ("ranges", "own", "expected"),
    [
        pytest.param([service_cidr("a", "10.0.0.0/30")], "10.0.0.0/30", 2, id="neither first nor last"),
        pytest.param([service_cidr("a", "10.0.0.0/31")], "10.0.0.0/31", 0, id="nothing between them"),
        pytest.param([service_cidr("a", "fd00::/126")], "fd00::/126", 3, id="the last of IPv6 is one"),
        pytest.param([service_cidr("a", "fd00::/126")], "10.0.0.0/29", 0, id="another family"),
        pytest.param([service_cidr("a", "fd00::/60")], "fd00::/126", 0, id="too big"),
        pytest.param([service_cidr("a", "fd00::/126", "10.0.0.0/29")], "10.0.0.0/29", 6, id="both families"),
        pytest.param([service_cidr("a", "10.0.0.0/29", ready=None)], "10.0.0.0/29", 6, id="nothing said yet"),
        pytest.param([service_cidr("a", "10.0.0.0/29", ready=False)], "10.0.0.0/29", 0, id="not ready"),
        pytest.param([service_cidr("a", "10.0.0.0/29", deleting=True)], "10.0.0.0/29", 0, id="being deleted"),
        pytest.param([], "10.0.0.0/29", 0, id="the server's own needs an object too"),
        pytest.param(
            [service_cidr("a", "10.0.0.0/29", ready=False), service_cidr("b", "10.0.0.0/29")],
            "10.0.0.0/29",
            6,
            id="one of two is ready",
        ),
        pytest.param(
            [service_cidr("a", "10.0.0.0/29"), service_cidr("b", "10.0.0.0/28")],
            "10.0.0.0/29",
            14,
            id="one in the other",
        ),
    ],
)
def test_what_there_is(ranges: list[Object], own: str, expected: int) -> None:
    found = taken(pool(*ranges, own=own))
    assert len(found) == len(set(found)) == expected


@pytest.mark.parametrize(
    ("address", "why"),
    [
        pytest.param("10.0.0.3", "", id="free"),
        pytest.param("10.9.0.3", "", id="in a range that was added"),
        pytest.param("10.0.0.5", ALLOCATED, id="taken"),
        pytest.param("10.0.0.0", NOT_IN_RANGE, id="the network's own"),
        pytest.param("10.0.0.7", NOT_IN_RANGE, id="the broadcast address"),
        pytest.param("10.1.0.1", NOT_IN_RANGE, id="in none"),
        pytest.param("fd00::1", NOT_IN_RANGE, id="of the other family"),
        pytest.param("ten", "", id="no address"),
    ],
)
def test_an_address_that_somebody_chose(address: str, why: str) -> None:
    ranges = pool(service_cidr("kubernetes", "10.0.0.0/29"), service_cidr("more", "10.9.0.0/29"))
    ranges.claim("10.0.0.5", 1)
    assert ranges.choose(address) == why


def test_a_range_that_comes_knows_what_is_taken_of_it() -> None:
    view = FakeView(SERVICECIDRS)
    late = AddressPool(ipaddress.ip_network("10.0.0.0/30"), view)
    late.claim("10.0.0.2", 1)
    view.put(service_cidr("kubernetes", "10.0.0.0/30"))
    assert taken(late) == ["10.0.0.1"]
    view.remove("", "kubernetes")
    late.claim("10.0.0.2", -1)
    assert late.free() is None


def test_of_a_range_that_is_nearly_full_the_rest_is_found_without_looking_through_it() -> None:
    chance = Chance()
    full = pool(service_cidr("kubernetes", "10.0.0.0/20"), own="10.0.0.0/20", chance=chance)
    assert len(taken(full)) == 4094
    chance.asked = 0
    assert full.free() is None
    full.claim("10.0.9.9", -1)
    for _ in range(50):
        assert full.free() == "10.0.9.9"
        full.claim("10.0.9.9", 1)
        full.claim("10.0.9.9", -1)
    assert chance.asked == 0


def test_each_range_is_counted() -> None:
    registry, view = Registry(), FakeView(SERVICECIDRS)
    view.put(service_cidr("kubernetes", "10.0.0.0/30"))
    view.put(service_cidr("more", "10.9.0.0/29"))
    counted = AddressPool(ipaddress.ip_network("10.0.0.0/30"), view, figures=AddressFigures(registry))
    registry.before_collection(counted.collect)
    for address in ("10.0.0.1", "10.0.0.1"):
        if not counted.choose(address):
            counted.claim(address, 1)
    for _ in range(3):
        counted.claim(counted.free() or "", 1)
    lines = registry.text().decode().splitlines()
    for line in (
        'allocated_ips{cidr="10.0.0.0/30"} 2',
        'available_ips{cidr="10.0.0.0/30"} 0',
        'allocated_ips{cidr="10.9.0.0/29"} 2',
        'available_ips{cidr="10.9.0.0/29"} 4',
        'allocation_total{cidr="10.0.0.0/30",scope="static"} 1',
        'allocation_errors_total{cidr="10.0.0.0/30",scope="static"} 1',
        'allocation_total{cidr="10.0.0.0/30",scope="dynamic"} 1',
        'allocation_errors_total{cidr="10.0.0.0/30",scope="dynamic"} 2',
        'allocation_total{cidr="10.9.0.0/29",scope="dynamic"} 2',
        'allocation_duration_seconds_count{cidr="10.9.0.0/29"} 2',
    ):
        assert f"kube_apiserver_clusterip_allocator_{line}" in lines


# --- with a server


def plain(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def created(server: Api, count: int, prefix: str) -> list[str]:
    made = [await server.ok("POST", SERVICES, plain(f"{prefix}{n}")) for n in range(count)]
    return [one["spec"]["clusterIP"] for one in made]


def test_a_service_cidr_gives_addresses_until_it_goes(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path, config=Config(service_cluster_ip_range="10.96.0.0/29")) as server:
            first = await created(server, 5, "own")
            assert set(first) == {f"10.96.0.{n}" for n in range(2, 7)}
            status, refused = await server.call("POST", SERVICES, plain("x"))
            message = 'failed to allocate a serviceIP for Service "x": range is full'
            assert (status, refused["message"]) == (500, f"Internal error occurred: {message}")
            assert refused["details"]["causes"] == [{"message": message}]

            outside = plain("chosen", clusterIP="10.97.0.9")
            status, refused = await server.call("POST", SERVICES, outside)
            assert status == 422
            assert refused["message"] == (
                'Service "chosen" is invalid: spec.clusterIPs: Invalid value: ["10.97.0.9"]: failed to '
                "allocate IP 10.97.0.9: the provided network does not match the current range"
            )

            more = {
                "metadata": {"name": "more", "finalizers": ["example.com/stay"]},
                "spec": {"cidrs": ["10.97.0.0/28"]},
            }
            await server.ok("POST", CIDRS, more)
            await server.ok("POST", SERVICES, outside)
            [another] = await created(server, 1, "more")
            assert another.startswith("10.97.0.")
            shown = await server.ok("GET", f"{ADDRESSES}/{another}")
            assert shown["spec"]["parentRef"]["name"] == "more0"

            await server.ok("DELETE", f"{CIDRS}/more")
            status, _ = await server.call("POST", SERVICES, plain("y"))
            assert status == 500
            await server.ok("DELETE", f"{SERVICES}/own0")
            assert await created(server, 1, "again") == first[:1]

    asyncio.run(main())


def test_an_address_that_an_object_stands_for_is_not_given(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path, config=Config(service_cluster_ip_range="10.96.0.0/30")) as server:
            reserved = {
                "metadata": {"name": "10.96.0.2"},
                "spec": {"parentRef": {"resource": "routers", "group": "example.com", "name": "r"}},
            }
            await server.ok("POST", ADDRESSES, reserved)
            status, refused = await server.call("POST", SERVICES, plain("a", clusterIP="10.96.0.2"))
            assert status == 422
            assert "failed to allocate IP 10.96.0.2: provided IP is already allocated" in refused["message"]
            status, _ = await server.call("POST", SERVICES, plain("a"))
            assert status == 500
            await server.ok("DELETE", f"{ADDRESSES}/10.96.0.2")
            assert await created(server, 1, "a") == ["10.96.0.2"]

    asyncio.run(main())
