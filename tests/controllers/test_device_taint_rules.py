"""What DeviceTaintRules do, and what is said about it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.base.metrics import Registry
from podium.controllers.device_taint_eviction import device_taint_eviction
from podium.controllers.device_taint_rules import Counts, condition, selects, wait_s
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.events import EVENTS
from podium.resources.core.pods import PODS
from podium.resources.resource.devicetaintrules import DEVICETAINTRULES_V1BETA2 as DEVICETAINTRULES
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.resources.resource.resourceslices import RESOURCESLICES
from tests.controllers.builders import pod, running
from tests.controllers.test_device_taint_eviction import claim, slice_, tolerate
from tests.runtime.fakes import START, FakeApi, settle

ONCE = (
    "if the effect was NoExecute. This information will not be updated again. "
    "Recreate the DeviceTaintRule to trigger an update."
)


def rule(effect: str = "NoExecute", **selector: str) -> Object:
    taint = {"key": "broken", "effect": effect, "timeAdded": "2026-01-01T00:00:00Z"}
    return {
        "metadata": {"name": "r", "uid": "uid-r", "generation": 2},
        "spec": {"deviceSelector": selector, "taint": taint},
    }


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        ({"driver": "d"}, True),
        ({"driver": "d", "pool": "p", "device": "x"}, True),
        ({"driver": "other"}, False),
        ({"pool": "p", "device": "other"}, False),
    ],
)
def test_what_a_rule_is_about(selector: dict[str, str], *, selected: bool) -> None:
    assert selects(rule(**selector), "d", "p", "x") is selected
    assert not selects({"spec": {"taint": {}}}, "d", "p", "x"), "without a selector it is about nothing"


@pytest.mark.parametrize(
    ("effect", "counts", "expected"),
    [
        ("NoExecute", Counts(), ("False", "NotStarted", "")),
        (
            "NoExecute",
            Counts(pods=("a/x",)),
            ("True", "PodsPendingEviction", "1 pod needs to be evicted in 1 namespace."),
        ),
        (
            "NoExecute",
            Counts(pods=("a/x", "b/x"), evicted=1),
            (
                "True",
                "PodsPendingEviction",
                "2 pods need to be evicted in 2 different namespaces. "
                "1 pod evicted since starting the controller.",
            ),
        ),
        (
            "NoExecute",
            Counts(evicted=2),
            ("False", "Completed", "2 pods evicted since starting the controller."),
        ),
        ("NoSchedule", Counts(), ("False", "OtherEffect", "Eviction only happens for the NoExecute effect.")),
        (
            "None",
            Counts(pods=("a/x",), published=1, allocated=2),
            (
                "False",
                "NoEffect",
                "1 published device selected. 2 allocated devices selected. "
                f"1 pod would be evicted in 1 namespace {ONCE}",
            ),
        ),
    ],
)
def test_conditions(effect: str, counts: Counts, expected: tuple[str, str, str]) -> None:
    made = condition(rule(effect), counts, START)
    assert made is not None
    assert (made["status"], made["reason"], made["message"]) == expected
    told = {**rule(effect), "status": {"conditions": [made]}}
    assert condition(told, counts, START) is None
    assert wait_s(told, START) == 10
    assert wait_s({**told, "metadata": {**told["metadata"], "generation": 3}}, START) == 0


def _using(name: str) -> Object:
    made = pod(name, finalizers=["example.com/keep"])
    made["spec"]["resourceClaims"] = [{"name": "r", "resourceClaimName": "c"}]
    return made


def test_a_rule_from_its_first_look_to_the_last_pod() -> None:
    async def run() -> None:
        api, registry = FakeApi(), Registry()
        api.put(RESOURCESLICES, slice_())
        api.put(RESOURCECLAIMS, claim(tolerate(60)))
        api.put(PODS, _using("a"))

        def said() -> Any:
            found = meta.find_condition(api.table(DEVICETAINTRULES)["r"], "EvictionInProgress") or {}
            return found.get("reason")

        async with running(api, [device_taint_eviction(with_rules=True)], registry=registry):
            await settle(100)
            api.put(DEVICETAINTRULES, rule("None", driver="d"))
            await settle(100)
            assert said() == "NoEffect"
            api.change(DEVICETAINTRULES, "r", lambda one: one.update(spec=rule(driver="d")["spec"]))
            await settle(100)
            assert said() == "PodsPendingEviction"
            assert not meta.deleting(api.table(PODS)["default/a"]), "it is tolerated for a minute"
            await api.clock.advance(61)
            await settle(100)
            assert meta.deleting(api.table(PODS)["default/a"])
            await api.clock.advance(20)
            await settle(100)
            assert said() == "Completed"
        assert "device_taint_eviction_controller_pod_deletions_total 1" in registry.text().decode()

    asyncio.run(run())


def test_a_rule_that_goes_in_time_lets_the_pods_stay() -> None:
    async def run() -> None:
        api = FakeApi()
        api.put(RESOURCESLICES, slice_())
        api.put(RESOURCECLAIMS, claim(tolerate(60)))
        api.put(PODS, _using("a"))
        api.put(DEVICETAINTRULES, rule(pool="p"))
        async with running(api, [device_taint_eviction(with_rules=True)]):
            await settle(100)
            api.remove(DEVICETAINTRULES, "r")
            await settle(100)
            await api.clock.advance(120)
            await settle(100)
            assert not meta.deleting(api.table(PODS)["default/a"])
            assert [event["message"] for event in api.all(EVENTS)] == ["Cancelling deletion"]

    asyncio.run(run())
