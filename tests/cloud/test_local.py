"""The provider `local`: addresses from a range, none of them twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.cloud.interface import Setup
from podium.cloud.providers.local import LEDGER, LocalLoadBalancers, local
from podium.cloud.providers.pool import Exhausted, Pool, allocate, held
from podium.cloud.service import service_lb
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.services import SERVICES
from tests.cloud.builders import go, service, told, until
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi

C = "kubernetes"


@pytest.mark.parametrize(
    ("text", "version", "addresses"),
    [
        ("192.0.2.0/30", 4, ["192.0.2.1", "192.0.2.2"]),
        ("192.0.2.7/32", 4, ["192.0.2.7"]),
        ("192.0.2.8/31", 4, ["192.0.2.8", "192.0.2.9"]),
        ("192.0.2.9-192.0.2.10, 192.0.2.1-192.0.2.1", 4, ["192.0.2.9", "192.0.2.10", "192.0.2.1"]),
        ("192.0.2.1-192.0.2.1,2001:db8::/127", 6, ["2001:db8::", "2001:db8::1"]),
        ("", 4, []),
    ],
)
def test_ranges(text: str, version: int, addresses: list[str]) -> None:
    assert [str(a) for a in Pool.parse(text).addresses(version)] == addresses


@pytest.mark.parametrize("text", ["x", "192.0.2.1/24", "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::1", "1-2"])
def test_wrong_ranges(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Pool.parse(text)


def asking(uid: str = "u1", **spec: Any) -> Object:
    made = service(**spec)
    made["metadata"]["uid"] = uid
    return made


LEDGER_NOW = {"192.0.2.1": "u0 default/first", "192.0.2.3": "u2 default/other"}


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (asking(), ["192.0.2.2"]),
        (asking("u0"), ["192.0.2.1"]),
        (asking("u2"), ["192.0.2.3"]),
        (asking("u2", loadBalancerIP="192.0.2.4"), ["192.0.2.4"]),
        (asking(loadBalancerIP="192.0.2.3"), "address 192.0.2.3 belongs to service default/other"),
        (asking(loadBalancerIP="192.0.2.9"), "address 192.0.2.9 is not in the load balancer range"),
        (asking(ipFamilies=["IPv6"]), ["2001:db8::"]),
        (asking(ipFamilies=["IPv4", "IPv6"]), ["192.0.2.2", "2001:db8::"]),
    ],
)
def test_who_gets_what(asked: Object, given: Any) -> None:
    pool = Pool.parse("192.0.2.1-192.0.2.4,2001:db8::/127")
    if isinstance(given, str):
        with pytest.raises(Exhausted, match=given):
            allocate(pool, LEDGER_NOW, asked)
    else:
        assert allocate(pool, LEDGER_NOW, asked) == given


def balancers(api: FakeApi, pool: str = "192.0.2.0/24") -> LocalLoadBalancers:
    return LocalLoadBalancers(api.client(), Pool.parse(pool))


def addresses(status: Object | None) -> list[str]:
    assert status is not None
    return [entry["ip"] for entry in status["ingress"]]


def test_several_managers_at_once_give_no_address_twice() -> None:
    async def test() -> None:
        api = FakeApi()
        services = [api.put(SERVICES, service(f"s{i}")) for i in range(12)]
        given = await asyncio.gather(
            *(balancers(api).ensure(C, one, ()) for one in services for _ in range(2)),
        )
        ips = [addresses(status)[0] for status in given]
        assert ips[0::2] == ips[1::2]
        assert len(set(ips)) == 12

    go(test)


def test_an_address_outlives_the_manager_and_returns_to_the_pool() -> None:
    async def test() -> None:
        api = FakeApi()
        first, second = (api.put(SERVICES, service(name)) for name in ("a", "b"))
        assert addresses(await balancers(api).ensure(C, first, ())) == ["192.0.2.1"]
        assert addresses(await balancers(api).ensure(C, second, ())) == ["192.0.2.2"]
        again = balancers(api)
        assert addresses(await again.ensure(C, second, ())) == ["192.0.2.2"]
        assert addresses(await again.get(C, first)) == ["192.0.2.1"]
        await again.ensure_deleted(C, first)
        assert await again.get(C, first) is None
        third = api.put(SERVICES, service("c"))
        assert addresses(await again.ensure(C, third, ())) == ["192.0.2.1"]

    go(test)


def test_a_full_pool_takes_back_what_the_gone_have() -> None:
    async def test() -> None:
        api = FakeApi()
        pool = "192.0.2.1-192.0.2.1,2001:db8::1-2001:db8::1"
        first = api.put(SERVICES, service("a", ipFamilies=["IPv4", "IPv6"]))
        second = api.put(SERVICES, service("b", ipFamilies=["IPv4", "IPv6"]))
        assert addresses(await balancers(api, pool).ensure(C, first, ())) == ["192.0.2.1", "2001:db8::1"]
        with pytest.raises(Exhausted, match="no address is left in the load balancer range"):
            await balancers(api, pool).ensure(C, second, ())
        api.remove(SERVICES, "default/a")
        assert addresses(await balancers(api, pool).ensure(C, second, ())) == ["192.0.2.1", "2001:db8::1"]
        ledger = api.table(CONFIGMAPS)[f"kube-system/{LEDGER}"]["data"]
        assert set(ledger.values()) == {f"{meta.uid(second)} default/b"}
        assert held({key.replace("_", ":"): who for key, who in ledger.items()}, meta.uid(second)) == [
            "192.0.2.1",
            "2001:db8::1",
        ]

    go(test)


def test_a_full_pool_is_an_event_and_is_tried_again() -> None:
    async def test() -> None:
        api = FakeApi()
        cloud = local(Setup(client=api.client(), cluster_name=C, load_balancer_range="192.0.2.1/32"))
        assert cloud.load_balancers is not None
        api.put(SERVICES, service("a"))
        async with running(api, [service_lb(cloud.load_balancers, C)]):
            await until(lambda: api.table(SERVICES)["default/a"]["status"]["loadBalancer"])
            api.put(SERVICES, service("b"))
            message = (
                "Error syncing load balancer: failed to ensure load balancer:"
                " no address is left in the load balancer range"
            )
            await until(lambda: ("SyncLoadBalancerFailed", message) in told(api))
            await api.client().delete(SERVICES, "a", "default")
            await until(lambda: "default/a" not in api.table(SERVICES))
            await api.clock.advance(6)
            await until(lambda: api.table(SERVICES)["default/b"]["status"]["loadBalancer"])
            assert api.table(SERVICES)["default/b"]["status"]["loadBalancer"] == {
                "ingress": [{"ip": "192.0.2.1", "ipMode": "VIP"}]
            }

    go(test)
