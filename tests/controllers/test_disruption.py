"""Disruption budgets: what may go now, from what is healthy and what has been promised."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.controllers.disruption import DISRUPTION, plan
from podium.machinery.errors import Object
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.pods import PODS
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS
from tests.controllers.builders import pod, replica_set, running
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
        async with running(api, [DISRUPTION]):
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
