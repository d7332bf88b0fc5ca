"""What the simulations rest on: a seed is a life, and a life that goes wrong is noticed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from podium.controllers.replicaset import REPLICASET
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Context, Controller
from tests.controllers.builders import replica_set
from tests.controllers.simulation.loop import Deadlock, run
from tests.controllers.simulation.world import World, Write, simulate
from tests.controllers.test_rollout_simulation import Rollouts


def writes_of(seed: int) -> list[tuple[str, str, str]]:
    kept: list[World] = []

    class Kept(Rollouts):
        def __init__(self, seed: int) -> None:
            super().__init__(seed)
            kept.append(self)

    simulate(Kept, seed)
    return kept[0].api.writes


def test_one_seed_is_one_life() -> None:
    first = writes_of(7)
    assert first == writes_of(7)
    assert first != writes_of(8)


def test_an_hour_passes_at_once() -> None:
    async def wait() -> float:
        before_s = asyncio.get_running_loop().time()
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time() - before_s

    began_s = time.process_time()
    assert run(wait()) == pytest.approx(3600)
    assert time.process_time() - began_s < 5


def test_waiting_for_nothing_is_an_error() -> None:
    with pytest.raises(Deadlock):
        run(asyncio.Event().wait())


class Pods(World):
    """A ReplicaSet that is left alone."""

    STEPS = 3

    def controllers(self) -> tuple[Controller, ...]:
        return (REPLICASET,)

    def begin(self) -> None:
        self.trouble = self.pods_fail = False
        self.api.put(REPLICASETS, replica_set("web", replicas=2))

    def command(self) -> None: ...


def test_a_life_without_troubles_ends_well() -> None:
    simulate(Pods, 0)


def test_a_violated_invariant_names_the_seed() -> None:
    class Forbidding(Pods):
        def check_write(self, write: Write) -> None:
            self.require(write.resource is not PODS, "no pods here")

    with pytest.raises(AssertionError, match=r"seed 3 \(PODIUM_SIMULATION_SEED=3 .*no pods here"):
        simulate(Forbidding, 3)


def test_a_crash_of_a_reconcile_is_a_violation() -> None:
    async def crash(context: Context, key: str) -> float | None:
        raise KeyError("spec")

    class Crashing(Pods):
        def controllers(self) -> tuple[Controller, ...]:
            return (replace(REPLICASET, reconcile=crash),)

    with pytest.raises(AssertionError, match="replicaset-controller crashed"):
        simulate(Crashing, 0)


def test_a_world_that_is_never_at_rest_is_noticed() -> None:
    async def restless(context: Context, key: str) -> float | None:
        live = context.caches[REPLICASETS].get(key)
        assert live is not None
        minute = context.clock.monotonic_s() // 60
        status = {"replicas": minute}
        if live["status"] != status:
            await context.client.update(REPLICASETS, {**live, "status": status}, subresource="status")
        return 60.0

    class Restless(Pods):
        def controllers(self) -> tuple[Controller, ...]:
            return (replace(REPLICASET, reconcile=restless),)

    with pytest.raises(AssertionError, match="does not come to rest"):
        simulate(Restless, 0)


def test_an_orphan_is_noticed() -> None:
    class Orphaning(Pods):
        def check_rest(self) -> None:
            self.api.table(REPLICASETS).clear()

    with pytest.raises(AssertionError, match="left without its owner"):
        simulate(Orphaning, 0)
