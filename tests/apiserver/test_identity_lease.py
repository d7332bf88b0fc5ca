"""An API server says by a Lease that it is there, and removes those of servers that are not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.identity_lease import expired, identity_of, renewed
from podium.apiserver.server import Config
from podium.machinery.errors import Object
from podium.machinery.feature_gates import FeatureGates
from tests.apiserver.harness import Api, api
from tests.runtime.fakes import START, FakeClock

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"


def lease(name: str, *, component: str = "kube-apiserver", **spec: Any) -> Object:
    labels = {"apiserver.kubernetes.io/identity": component}
    return {"metadata": {"name": name, "namespace": "kube-system", "labels": labels}, "spec": spec}


def test_names_and_contents() -> None:
    assert identity_of("h") == "apiserver-vkuuajte6gsb6qhlxrjmtgj6wy"
    made = renewed(None, "h", "me", START)
    assert made["spec"] == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 3600,
        "renewTime": "2026-01-01T00:00:00.000000Z",
    }
    assert made["metadata"]["labels"]["kubernetes.io/hostname"] == "h"


@pytest.mark.parametrize(
    ("found", "over"),
    [
        (lease("a", renewTime="2025-12-31T23:30:00.000000Z", leaseDurationSeconds=3600), False),
        (lease("a", renewTime="2025-12-31T22:30:00.000000Z", leaseDurationSeconds=3600), True),
        (lease("a", leaseDurationSeconds=3600), True),
        (lease("a", component="other"), False),
    ],
)
def test_which_leases_are_over(found: Object, over: bool) -> None:
    assert expired([found], START) == (["a"] if over else [])


async def _until(server: Api, seen: Any) -> Any:
    async with asyncio.timeout(10):
        while True:
            found = {item["metadata"]["name"]: item for item in (await server.ok("GET", LEASES))["items"]}
            if seen(found):
                return found
            await asyncio.sleep(0)


def test_a_server_keeps_its_lease_and_collects_others(tmp_path: Path) -> None:
    own = identity_of("h")

    async def run() -> None:
        clock = FakeClock()
        async with api(tmp_path, clock=clock, config=Config(host="h")) as server:
            found = await _until(server, lambda leases: own in leases)
            assert found[own]["spec"]["holderIdentity"].startswith(f"{own}_")
            await server.ok(
                "POST", LEASES, lease("gone", renewTime="2025-01-01T00:00:00.000000Z", leaseDurationSeconds=1)
            )
            await clock.advance(10)
            later = "2026-01-01T00:00:10.000000Z"
            await _until(server, lambda leases: leases[own]["spec"]["renewTime"] == later)
            await clock.advance(3600)
            while "gone" in await _until(server, bool):
                await clock.advance(10)
            assert own in await _until(server, bool)

    asyncio.run(run())


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(
            host="h",
            feature_gates=FeatureGates.parse(
                ["APIServerIdentity=false,UnknownVersionInteroperabilityProxy=false"], "1.36"
            ),
        ),
    ],
)
def test_no_lease_without_a_name_or_the_gate(tmp_path: Path, config: Config) -> None:
    async def run() -> None:
        async with api(tmp_path, clock=FakeClock(), config=config) as server:
            assert (await server.ok("GET", LEASES))["items"] == []

    asyncio.run(run())
