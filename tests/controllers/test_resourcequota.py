"""Quotas of anything: the amounts, and the controller that notices what comes to be served."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.controllers.resourcequota import ResourceQuotaController, counted_resource, plan
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.apiextensions.customresourcedefinitions import CUSTOMRESOURCEDEFINITIONS
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.pods import PODS
from podium.resources.core.quota_usage import overdue_s
from podium.resources.core.resourcequotas import RESOURCEQUOTAS
from podium.runtime.controller import Environment
from podium.runtime.informer import Informers
from tests.controllers.builders import pod
from tests.runtime.fakes import START, FakeApi, settle

WIDGETS = Resource(
    group="example.com",
    version="v1",
    kind="Widget",
    plural="widgets",
    namespaced=True,
    schema="",
)
CLAIMS = "resourceclaims.resource.k8s.io"


def quota(**hard: str) -> Object:
    return {"metadata": {"name": "q"}, "spec": {"hard": {k.replace("__", "/"): v for k, v in hard.items()}}}


def claim(*requests: Object) -> Object:
    return {"metadata": {"name": "c"}, "spec": {"devices": {"requests": list(requests)}}}


def of_class(name: str, count: int | None = None, *, all: bool = False) -> Object:
    made: Object = {"deviceClassName": name, "allocationMode": "All" if all else "ExactCount"}
    return {**made, "count": count} if count is not None else made


@pytest.mark.parametrize(
    ("requests", "gpus", "nics"),
    [
        ([{"exactly": of_class("gpu", 2)}, {"exactly": of_class("gpu", 3)}], "5", "0"),
        ([{"exactly": of_class("gpu", all=True)}], "32", "0"),
        ([{"firstAvailable": [of_class("gpu", 2), of_class("gpu", 4), of_class("nic", 1)]}], "4", "1"),
    ],
)
def test_devices(requests: list[Object], gpus: str, nics: str) -> None:
    names = [f"{name}.deviceclass.resource.k8s.io/devices" for name in ("gpu", "nic")]
    assert {counted_resource(name) for name in names} == {CLAIMS}
    looked_at = {"spec": {"hard": dict.fromkeys([*names, f"count/{CLAIMS}"], "9")}}
    used = plan(looked_at, {CLAIMS: [claim(*requests)]})["used"]
    assert used == {names[0]: gpus, names[1]: nics, f"count/{CLAIMS}": "1"}


def test_huge_pages_count_under_both_names() -> None:
    one = pod("a")
    one["spec"]["containers"][0]["resources"] = {"requests": {"hugepages-2Mi": "4Mi"}}
    hard = {"spec": {"hard": {"hugepages-2Mi": "1Gi", "requests.hugepages-2Mi": "1Gi"}}}
    assert plan(hard, {"pods": [one]})["used"] == {"hugepages-2Mi": "4Mi", "requests.hugepages-2Mi": "4Mi"}


def test_a_pod_that_should_be_gone() -> None:
    assert overdue_s(pod("a"), START) is None
    going = pod("a", deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=30)
    assert overdue_s(going, START) == -30


async def _run(api: FakeApi, steps: Any) -> None:
    client = api.client()
    environment = Environment(client=client, informers=Informers(client, clock=api.clock), clock=api.clock)
    tasks = [asyncio.ensure_future(ResourceQuotaController().run(environment))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks.append(asyncio.ensure_future(environment.informers.run()))
    try:
        await settle(200)
        await steps()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def used(api: FakeApi) -> Any:
    found = api.get(RESOURCEQUOTAS, "default/q")
    assert found is not None
    return found["status"]["used"]


def test_custom_resources_that_come_and_go() -> None:
    async def run() -> None:
        api = FakeApi()
        api.served = [CONFIGMAPS]
        api.put(RESOURCEQUOTAS, quota(count__configmaps="5", **{"count__widgets.example.com": "5"}))
        api.put(CONFIGMAPS, {"metadata": {"name": "a"}})

        async def steps() -> None:
            assert used(api) == {"count/configmaps": "1"}
            api.served = [CONFIGMAPS, WIDGETS]
            api.put(CUSTOMRESOURCEDEFINITIONS, {"metadata": {"name": "widgets.example.com"}})
            api.put(WIDGETS, {"metadata": {"name": "w"}})
            await settle(100)
            await api.clock.advance(2)
            await settle(300)
            assert used(api) == {"count/configmaps": "1", "count/widgets.example.com": "1"}
            api.put(WIDGETS, {"metadata": {"name": "x"}})
            await settle(100)
            await api.clock.advance(1)
            await settle(100)
            assert used(api)["count/widgets.example.com"] == "2"
            api.served = [CONFIGMAPS]
            api.remove(CUSTOMRESOURCEDEFINITIONS, "widgets.example.com")
            await settle(100)
            await api.clock.advance(2)
            await settle(300)
            assert used(api) == {"count/configmaps": "1"}

        await _run(api, steps)

    asyncio.run(run())


def test_a_lost_pod_stops_counting() -> None:
    async def run() -> None:
        api = FakeApi()
        api.put(RESOURCEQUOTAS, quota(pods="5"))
        api.put(PODS, pod("a", deletionTimestamp="2026-01-01T00:00:00Z", deletionGracePeriodSeconds=30))

        async def steps() -> None:
            assert used(api) == {"pods": "1"}
            await api.clock.advance(31)
            await settle(200)
            assert used(api) == {"pods": "0"}

        await _run(api, steps)

    asyncio.run(run())
