"""Disruption budgets: what may go now, from what is healthy and what has been promised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.controllers.disruption import disruption, plan, stale_in_s
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.pods import PODS
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS
from tests.controllers.builders import events, pod, replica_set, running
from tests.runtime.fakes import START, FakeApi


def budget(status: Object | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": "default", "uid": "uid-b", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
        "status": status or {},
    }


@pytest.mark.parametrize(
    ("spec", "ready", "unready", "wanted", "expected"),
    [
        pytest.param({"minAvailable": 2}, 3, 0, None, (1, 3, 2, 3), id="a number"),
        pytest.param({"minAvailable": 3}, 2, 1, None, (0, 2, 3, 3), id="too few"),
        pytest.param({"minAvailable": "50%"}, 3, 0, 5, (0, 3, 3, 5), id="a share is rounded up"),
        pytest.param({"maxUnavailable": 1}, 3, 0, 3, (1, 3, 2, 3), id="one may be away"),
        pytest.param({"maxUnavailable": "10%"}, 3, 0, 3, (1, 3, 2, 3), id="a share away is rounded up"),
        pytest.param({"maxUnavailable": 9}, 1, 0, 1, (1, 1, 0, 1), id="never below nothing"),
        pytest.param({"minAvailable": 0}, 0, 0, None, (0, 0, 0, 0), id="no pods"),
        pytest.param({}, 3, 0, None, (0, 3, 0, 0), id="no rule: nothing may go"),
    ],
)
def test_counts(
    spec: Object, ready: int, unready: int, wanted: int | None, expected: tuple[int, ...]
) -> None:
    pods = [pod(f"r{i}") for i in range(ready)] + [pod(f"u{i}", ready=False) for i in range(unready)]
    status = plan(budget(**spec), pods, wanted, START).status
    names = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    assert tuple(status[name] for name in names) == expected


def test_a_promised_disruption_counts_until_it_lapses() -> None:
    noted = {"disruptedPods": {"p0": "2026-01-01T00:00:00Z", "gone": "2026-01-01T00:00:00Z"}}
    pods = [pod(f"p{i}") for i in range(3)]
    fresh = plan(budget(noted, minAvailable=2), pods, None, START)
    assert fresh.status["disruptionsAllowed"] == 0
    assert fresh.status["disruptedPods"] == {"p0": "2026-01-01T00:00:00Z"}
    assert fresh.again_s == 120
    late = plan(budget(noted, minAvailable=2), pods, None, START.replace(minute=2))
    assert late.status["disruptionsAllowed"] == 1
    assert "disruptedPods" not in late.status
    assert [p["metadata"]["name"] for p in late.overdue] == ["p0"]


def test_the_status_follows_the_pods() -> None:
    async def go() -> None:
        api = FakeApi()
        owner = api.put(REPLICASETS, replica_set("web", replicas=3))
        for i in range(3):
            api.put(PODS, pod(f"p{i}", owner=owner))
        api.put(PODDISRUPTIONBUDGETS, budget(maxUnavailable=1))
        async with running(api, [disruption()]):
            await api.clock.advance(1)
            status = api.table(PODDISRUPTIONBUDGETS)["default/b"]["status"]
            assert (status["disruptionsAllowed"], status["expectedPods"]) == (1, 3)
            assert status["conditions"][0]["reason"] == "SufficientPods"
            api.put(PODS, pod("p0", owner=owner, ready=False))
            await api.clock.advance(1)
            status = api.table(PODDISRUPTIONBUDGETS)["default/b"]["status"]
            assert status["disruptionsAllowed"] == 0
            assert status["conditions"][0]["reason"] == "InsufficientPods"

    asyncio.run(go())


CLAWS = Resource(group="x.dev", version="v2", kind="Claw", plural="claws", namespaced=True, schema="")
CLAW: Object = {
    "apiVersion": "x.dev/v2",
    "kind": "Claw",
    "metadata": {"name": "c", "namespace": "default", "uid": "uid-c"},
}
SCALE = "/apis/x.dev/v2/namespaces/default/claws/c/scale"
MISSING = NotFound.of("claws", "x.dev", "c").status()
FORBIDDEN: Object = {
    "kind": "Status",
    "status": "Failure",
    "message": "no way",
    "reason": "Forbidden",
    "code": 403,
}


@pytest.mark.parametrize(
    ("answer", "expected", "why"),
    [
        pytest.param((200, {"metadata": {"uid": "uid-c"}, "spec": {"replicas": 5}}), 5, "", id="a scale"),
        pytest.param((404, MISSING), None, 'found no controllers for pod "p"', id="the controller is gone"),
        pytest.param(
            (200, {"metadata": {"uid": "another"}, "spec": {"replicas": 5}}),
            None,
            'found no controllers for pod "p"',
            id="another one of that name",
        ),
        pytest.param(None, None, "claws.x.dev does not implement the scale subresource", id="no scale"),
        pytest.param((403, FORBIDDEN), None, "no way", id="not allowed"),
    ],
)
def test_what_a_custom_controller_wants(
    answer: tuple[int, Object] | None, expected: int | None, why: str
) -> None:
    async def go() -> None:
        api = FakeApi()
        api.served = [CLAWS]
        if answer is not None:
            api.answers[SCALE] = answer
        api.put(PODS, pod("p", owner=CLAW))
        api.put(PODDISRUPTIONBUDGETS, budget({"observedGeneration": 7}, maxUnavailable="20%"))
        async with running(api, [disruption()]):
            await api.clock.advance(1)
        status = api.table(PODDISRUPTIONBUDGETS)["default/b"]["status"]
        condition = status["conditions"][0]
        if expected is not None:
            assert (status["expectedPods"], status["desiredHealthy"]) == (expected, 4)
            return
        assert (condition["reason"], condition["message"]) == ("SyncFailed", why)
        assert (status["disruptionsAllowed"], condition["observedGeneration"]) == (0, 7)
        message = f"Failed to calculate the number of expected pods: {why}"
        assert ("CalculateExpectedPodCountFailed", message) in events(api)

    asyncio.run(go())


def test_a_kind_that_nobody_serves_has_no_scale() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(PODS, pod("p", owner=CLAW))
        api.put(PODDISRUPTIONBUDGETS, budget(maxUnavailable=1))
        async with running(api, [disruption()]):
            await api.clock.advance(1)
        condition = api.table(PODDISRUPTIONBUDGETS)["default/b"]["status"]["conditions"][0]
        assert condition["message"] == 'no matches for kind "Claw" in version "x.dev/v2"'

    asyncio.run(go())


def test_what_is_served_is_asked_once_and_again_after_a_while() -> None:
    async def go() -> None:
        api = FakeApi()
        api.served = [CLAWS]
        api.answers[SCALE] = (200, {"metadata": {"uid": "uid-c"}, "spec": {"replicas": 5}})
        api.put(PODS, pod("p", owner=CLAW))
        api.put(PODDISRUPTIONBUDGETS, budget(maxUnavailable=1))

        async def seen(name: str, after_s: float) -> Object:
            await api.clock.advance(after_s)
            api.put(PODS, pod(name, owner=CLAW))
            await api.clock.advance(1)
            status: Object = api.table(PODDISRUPTIONBUDGETS)["default/b"]["status"]
            return status

        async with running(api, [disruption()]):
            assert (await seen("q", 1))["currentHealthy"] == 2
            api.served = []
            assert (await seen("r", 1))["currentHealthy"] == 3
            api.served = [CLAWS]
            assert (await seen("s", 40))["currentHealthy"] == 4
            api.served = []
            status = await seen("t", 40)
        assert status["conditions"][0]["message"] == 'no matches for kind "Claw" in version "x.dev/v2"'

    asyncio.run(go())


def test_pods_of_nobody_and_of_several_budgets_are_told_of() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(PODS, pod("p"))
        api.put(PODDISRUPTIONBUDGETS, budget(maxUnavailable=1))
        other = budget(minAvailable=1)
        api.put(PODDISRUPTIONBUDGETS, {**other, "metadata": {**other["metadata"], "name": "a", "uid": "a"}})
        async with running(api, [disruption()]):
            await api.clock.advance(1)
        said = dict(events(api))
        assert said["MultiplePodDisruptionBudgets"] == (
            'Pod "default"/"p" matches multiple PodDisruptionBudgets.  Chose "b" arbitrarily.'
        )
        assert (
            "(selector: &LabelSelector{MatchLabels:map[string]string{app: web,},"
            "MatchExpressions:[]LabelSelectorRequirement{},}) were found to be unmanaged."
        ) in said["UnmanagedPods"]

    asyncio.run(go())


def targeted(reason: str = "", **status: Any) -> Object:
    condition = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    made = pod("p")
    status = {"phase": "Running", "conditions": [{**condition, "reason": reason}], **status}
    return {**made, "status": status}


@pytest.mark.parametrize(
    ("target", "left_s"),
    [
        pytest.param(targeted("EvictionByEvictionAPI"), 120.0, id="two minutes"),
        pytest.param(targeted("TerminationByKubelet"), None, id="a kubelet takes its time"),
        pytest.param(targeted("EvictionByEvictionAPI", phase="Failed"), None, id="it has ended"),
        pytest.param(pod("p"), None, id="no target"),
    ],
)
def test_when_a_mark_lapses(target: Object, left_s: float | None) -> None:
    assert stale_in_s(target, START) == left_s


def test_a_pod_that_was_not_disrupted_after_all_is_marked_no_longer() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(PODS, targeted("EvictionByEvictionAPI"))
        async with running(api, [disruption()]):
            await api.clock.advance(119)
            found = api.table(PODS)["default/p"]
            assert meta.condition_true(found, "DisruptionTarget")
            await api.clock.advance(2)
        [condition] = api.table(PODS)["default/p"]["status"]["conditions"]
        assert condition == {
            "type": "DisruptionTarget",
            "status": "False",
            "observedGeneration": 1,
            "lastTransitionTime": "2026-01-01T00:02:00Z",
        }

    asyncio.run(go())
