"""IPAddress objects follow the Services that hold the addresses, whatever is done to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.apiserver.harness import Api, api
from tests.runtime.fakes import FakeClock

ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
SERVICES = "/api/v1/namespaces/default/services"
IP = "10.96.0.77"
LABELS = {
    "ipaddress.kubernetes.io/ip-family": "IPv4",
    "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
}


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[tuple[Api, FakeClock]]:
    """A server in fake time, with a Service that holds an address."""
    clock = FakeClock()
    async with api(directory, clock=clock) as server:
        spec = {"clusterIP": IP, "ports": [{"port": 80}]}
        await server.ok("POST", SERVICES, {"metadata": {"name": "web"}, "spec": spec})
        await clock.advance(20)
        yield server, clock


def made_by_hand(name: str, *, of: str = "web", **labels: str) -> Any:
    reference = {"resource": "services", "namespace": "default", "name": of}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"parentRef": reference}}


async def settled(server: Api, clock: FakeClock, seconds: float, name: str, *, there: bool) -> Any:
    """Return the object as it is once that time has passed and all is written."""
    async with asyncio.timeout(10):
        await clock.advance(seconds)
        while True:
            status, found = await server.call("GET", f"{ADDRESSES}/{name}")
            if (status == 200) is there:
                return found
            await asyncio.sleep(0.01)
            await clock.advance(0)


async def told(server: Api) -> list[tuple[str, str]]:
    events = (await server.ok("GET", "/api/v1/namespaces/default/events"))["items"]
    repairs = [e for e in events if e.get("reportingComponent") == "ipallocator-repair-controller"]
    return [(event["reason"], event["message"]) for event in repairs]


def test_a_service_has_its_object_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (server, clock):
            assert await told(server) == []
            before = await server.ok("GET", f"{ADDRESSES}/{IP}")
            await server.ok("DELETE", f"{ADDRESSES}/{IP}")
            again = await settled(server, clock, 10, IP, there=True)
            assert again["metadata"]["uid"] != before["metadata"]["uid"]
            assert again["spec"] == before["spec"]
            assert await told(server) == [
                ("ClusterIPNotAllocated", f"Cluster IP [IPv4]: {IP} is not allocated; repairing")
            ]

    asyncio.run(main())


def test_an_address_is_not_made_anothers(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (server, clock):
            await server.ok("DELETE", f"{ADDRESSES}/{IP}")
            stolen = await server.ok("POST", ADDRESSES, made_by_hand(IP, of="thief"))
            async with asyncio.timeout(10):
                await clock.advance(10)
                while True:
                    _, found = await server.call("GET", f"{ADDRESSES}/{IP}")
                    if found["metadata"].get("uid", stolen["metadata"]["uid"]) != stolen["metadata"]["uid"]:
                        break
                    await asyncio.sleep(0.01)
            assert found["spec"]["parentRef"]["name"] == "web"
            why = f"the ClusterIP [IPv4]: {IP} for Service default/web has a wrong reference; repairing"
            assert ("ClusterIPNotAllocated", why) in await told(server)

    asyncio.run(main())


def test_what_is_no_services_goes(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (server, clock):
            await server.ok("POST", ADDRESSES, made_by_hand("10.96.0.5", of="web", **LABELS))
            await settled(server, clock, 10, "10.96.0.5", there=False)
            await server.ok("POST", ADDRESSES, made_by_hand("10.96.0.6", of="nobody", **LABELS))
            await settled(server, clock, 50, "10.96.0.6", there=True)
            await settled(server, clock, 20, "10.96.0.6", there=False)
            await server.ok("POST", ADDRESSES, made_by_hand("10.96.0.7", of="nobody"))
            await settled(server, clock, 100, "10.96.0.7", there=True)
            assert await told(server) == [
                (
                    "IPAddressWrongReference",
                    "IPAddress: 10.96.0.5 for Service default/web has a wrong reference; cleaning up",
                ),
                (
                    "IPAddressNotAllocated",
                    "IPAddress: 10.96.0.6 for Service default/nobody appears to have leaked: cleaning up",
                ),
            ]

    asyncio.run(main())


def test_a_service_that_goes_takes_its_object_along(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (server, clock):
            await server.ok("DELETE", f"{SERVICES}/web")
            await settled(server, clock, 20, IP, there=False)
            assert await told(server) == []

    asyncio.run(main())


def test_a_service_that_something_else_wrote_keeps_no_server_from_starting(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as (server, _clock):
            web = await server.store.get("/registry/services/specs/default/web")
            assert web is not None
            odd = web.value.replace(IP.encode(), b"nonsense").replace(b'"web"', b'"odd"')
            await server.store.create("/registry/services/specs/default/odd", odd)
        async with api(tmp_path) as server:
            assert (await server.ok("GET", f"{SERVICES}/odd"))["spec"]["clusterIPs"] == ["nonsense"]
            assert (await server.call("GET", f"{ADDRESSES}/nonsense"))[0] == 404
            assert (await server.call("GET", f"{ADDRESSES}/{IP}"))[0] == 200

    asyncio.run(scenario())
