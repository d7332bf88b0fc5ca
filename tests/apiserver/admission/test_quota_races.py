"""Quotas against the real API server, with many who create and delete at once: one seed is one mêlée."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from podium.apiserver.admission.resource_quota import ResourceQuota
from podium.apiserver.server import ApiServer
from podium.machinery import meta
from podium.machinery.quantity import parse
from tests.apiserver.harness import PATIENCE_S, Api, api

PODS = "/api/v1/namespaces/default/pods"
QUOTAS = "/api/v1/namespaces/default/resourcequotas"
HARD = {"pods": "4", "requests.cpu": "1"}
PEOPLE = 6
ACTS = 12


def with_quotas(server: ApiServer) -> None:
    server.registry.admission = (ResourceQuota(server.reader),)


async def put_quota(server: Api) -> None:
    """A quota with its limits in the status, as its controller puts them there."""
    await server.ok("POST", QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": HARD}})
    patch = {"status": {"hard": HARD, "used": {"pods": "0", "requests.cpu": "0"}}}
    await server.ok("PATCH", f"{QUOTAS}/q/status", patch, type="application/merge-patch+json")


async def create(server: Api, name: str, cpu: str = "100m") -> int:
    container = {"name": "c", "image": "a", "resources": {"requests": {"cpu": cpu}}}
    status, _ = await server.call(
        "POST", PODS, {"metadata": {"name": name}, "spec": {"containers": [container]}}
    )
    return status


async def act(server: Api, rng: random.Random, names: list[str]) -> None:
    """Create or delete one of a few pods; whether that works depends on the others."""
    name = rng.choice(names)
    if rng.random() < 0.6:
        status = await create(server, name, rng.choice(("100m", "300m", "600m")))
        assert status in (201, 403, 409), status
    else:
        status, _ = await server.call("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")
        assert status in (200, 404), status


async def check(server: Api) -> None:
    pods = (await server.ok("GET", PODS))["items"]
    asked = [meta.dig(pod["spec"]["containers"][0], "resources", "requests", "cpu") for pod in pods]
    assert len(pods) <= int(HARD["pods"]), "more pods than the quota allows"
    assert sum((parse(cpu) for cpu in asked), parse("0")) <= parse(HARD["requests.cpu"]), asked


async def melee(directory: Path, seed: int) -> None:
    rng = random.Random(seed)
    names = [f"p{number}" for number in range(8)]
    async with api(directory, prepare=with_quotas) as server:
        await put_quota(server)

        async def person() -> None:
            for _ in range(ACTS):
                await act(server, rng, names)
                await check(server)

        async with asyncio.TaskGroup() as group:
            for _ in range(PEOPLE):
                group.create_task(person())
        for name in names:
            await server.call("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")
        async with asyncio.timeout(PATIENCE_S):
            for number in range(4):
                while await create(server, f"last{number}") != 201:
                    await asyncio.sleep(0.1)  # what failed lately is given back soon
        assert await create(server, "more") == 403


@pytest.mark.parametrize("seed", range(8))
def test_a_quota_is_never_exceeded_and_always_given_back(tmp_path: Path, seed: int) -> None:
    asyncio.run(melee(tmp_path, seed))


def test_a_pod_that_came_and_went_is_not_counted(tmp_path: Path) -> None:
    async def come_and_go() -> None:
        async with api(tmp_path, prepare=with_quotas) as server:
            await put_quota(server)
            for round_ in range(3):
                for number in range(4):
                    assert await create(server, f"p{round_}-{number}") == 201
                for number in range(4):
                    await server.ok("DELETE", f"{PODS}/p{round_}-{number}?gracePeriodSeconds=0")

    asyncio.run(come_and_go())
