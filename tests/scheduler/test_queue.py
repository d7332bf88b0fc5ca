from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from podium.scheduler.framework import ClusterEvent
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.queue import UNSCHEDULABLE_S_MAX, QueuedPod, SchedulingQueue
from tests.runtime.fakes import FakeClock, settle
from tests.scheduler.builders import info

FIT = frozenset(("Fit",))
EVENTS = {
    "Fit": frozenset((ClusterEvent.NODE_ADDED, ClusterEvent.POD_REMOVED, ClusterEvent.POD_CHANGED)),
    "Taint": frozenset((ClusterEvent.NODE_ADDED, ClusterEvent.NODE_CHANGED)),
}


class Bench:
    """A queue on a fake clock, driven step by step."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queue = SchedulingQueue(clock=self.clock, events=EVENTS)

    def put(self, name: str, **pod: object) -> PodInfo:
        one = info(name, **pod)
        self.queue.put(one)
        return one

    async def pop(self) -> QueuedPod | None:
        """Return the next pod if there is one at this moment."""
        popping = asyncio.ensure_future(self.queue.pop())
        await settle()
        if popping.done():
            return popping.result()
        popping.cancel()
        return None

    async def take(self) -> QueuedPod:
        queued = await self.pop()
        assert queued is not None
        return queued

    async def names(self) -> list[str]:
        """Return the names of all pods that can be taken now, in order."""
        found = []
        while (queued := await self.pop()) is not None:
            found.append(queued.info.name)
        return found

    async def rejected(self, name: str, plugins: frozenset[str] = FIT) -> QueuedPod:
        """Put a pod in, and let it be rejected."""
        self.put(name)
        queued = await self.take()
        self.queue.reject(queued, plugins)
        return queued


def run(test: Coroutine[None, None, None]) -> None:
    asyncio.run(test)


def test_priority_then_first_come() -> None:
    async def go() -> None:
        bench = Bench()
        for name, priority in (("a", 0), ("b", 10), ("c", 0), ("d", 10), ("e", -1)):
            bench.put(name, priority=priority)
            await bench.clock.advance(1)
        assert await bench.names() == ["b", "d", "a", "c", "e"]

    run(go())


def test_pop_waits_for_a_pod() -> None:
    async def go() -> None:
        bench = Bench()
        popping = asyncio.ensure_future(bench.queue.pop())
        await settle()
        assert not popping.done()
        bench.put("a")
        assert (await popping).info.name == "a"

    run(go())


def test_a_pod_is_taken_once() -> None:
    async def go() -> None:
        bench = Bench()
        bench.put("a")
        bench.put("a", labels={"new": "label"})
        queued = await bench.take()
        assert queued.info.labels == {"new": "label"}
        bench.put("a")
        assert await bench.names() == []

    run(go())


def test_a_new_priority_moves_a_waiting_pod() -> None:
    async def go() -> None:
        bench = Bench()
        bench.put("a")
        bench.put("b")
        bench.put("b", priority=1)
        assert await bench.names() == ["b", "a"]

    run(go())


@pytest.mark.parametrize(
    "stage", ["active", "gated", "unschedulable", "back-off", "in flight, rejected", "in flight, retried"]
)
def test_a_forgotten_pod_does_not_come_back(stage: str) -> None:
    async def go() -> None:
        bench = Bench()
        bench.put("a", schedulingGates=[{"name": "g"}] if stage == "gated" else [])
        if stage not in ("active", "gated"):
            queued = await bench.take()
            match stage:
                case "unschedulable":
                    bench.queue.reject(queued, FIT)
                case "back-off":
                    bench.queue.retry(queued)
                case _:
                    bench.queue.forget("uid-a")
                    if stage.endswith("rejected"):
                        bench.queue.reject(queued, FIT)
                    else:
                        bench.queue.retry(queued)
        bench.queue.forget("uid-a")
        for event in ClusterEvent:
            bench.queue.happened(event)
        await bench.clock.advance(2 * UNSCHEDULABLE_S_MAX)
        assert await bench.names() == []
        assert set(bench.queue.counts().values()) == {0}

    run(go())


def test_gates_keep_a_pod_out_until_the_last_is_gone() -> None:
    async def go() -> None:
        bench = Bench()
        bench.put("a", schedulingGates=[{"name": "g"}, {"name": "h"}])
        bench.queue.happened(ClusterEvent.NODE_ADDED)
        await bench.clock.advance(2 * UNSCHEDULABLE_S_MAX)
        assert await bench.names() == []
        bench.put("a", schedulingGates=[{"name": "h"}])
        assert bench.queue.counts()["gated"] == 1
        bench.put("a")
        assert await bench.names() == ["a"]

    run(go())


def test_back_off_grows_to_ten_seconds() -> None:
    async def go() -> None:
        bench = Bench()
        bench.put("a")
        waits = []
        for _ in range(6):
            bench.queue.retry(await bench.take())
            started_s = bench.clock.monotonic_s()
            popping = asyncio.ensure_future(bench.queue.pop())
            while not popping.done():
                await bench.clock.advance(0.5)
            waits.append(bench.clock.monotonic_s() - started_s)
            queued = popping.result()
            bench.queue.retry(queued)
            bench.queue._resting.clear()
            bench.queue._resting_heap.clear()
            bench.queue._activate(queued)
            queued.attempts -= 1
        assert waits == [1, 2, 4, 8, 10, 10]

    run(go())


def test_a_rejected_pod_waits_for_an_event_that_may_help() -> None:
    async def go() -> None:
        bench = Bench()
        await bench.rejected("a")
        await bench.clock.advance(60)
        bench.queue.happened(ClusterEvent.NODE_CHANGED)
        bench.queue.happened(ClusterEvent.POD_PLACED)
        assert await bench.names() == []
        bench.queue.happened(ClusterEvent.POD_REMOVED)
        assert await bench.names() == ["a"]

    run(go())


def test_an_event_helps_whom_any_of_the_rejecters_waits_for() -> None:
    async def go() -> None:
        bench = Bench()
        await bench.rejected("a", frozenset(("Fit", "Taint")))
        await bench.rejected("b", frozenset(("Taint",)))
        await bench.clock.advance(60)
        bench.queue.happened(ClusterEvent.POD_REMOVED)
        assert await bench.names() == ["a"]
        bench.queue.happened(ClusterEvent.NODE_CHANGED)
        assert await bench.names() == ["b"]

    run(go())


def test_without_nodes_only_a_node_helps() -> None:
    async def go() -> None:
        bench = Bench()
        await bench.rejected("a", frozenset())
        await bench.clock.advance(60)
        for event in set(ClusterEvent) - {ClusterEvent.NODE_ADDED}:
            bench.queue.happened(event)
        assert await bench.names() == []
        bench.queue.happened(ClusterEvent.NODE_ADDED)
        assert await bench.names() == ["a"]

    run(go())


def test_an_event_does_not_shorten_the_back_off() -> None:
    async def go() -> None:
        bench = Bench()
        await bench.rejected("a")
        bench.queue.happened(ClusterEvent.NODE_ADDED)
        assert await bench.names() == []
        assert bench.queue.counts()["backoff"] == 1
        await bench.clock.advance(0.9)
        assert await bench.names() == []
        await bench.clock.advance(0.2)
        assert await bench.names() == ["a"]

    run(go())


def test_an_event_while_in_flight_counts() -> None:
    async def go() -> None:
        bench = Bench()
        for name in ("helped", "not"):
            bench.put(name)
        helped, other = await bench.take(), await bench.take()
        bench.queue.happened(ClusterEvent.POD_REMOVED)
        bench.queue.reject(helped, FIT)
        bench.queue.reject(other, frozenset(("Taint",)))
        await bench.clock.advance(1)
        assert await bench.names() == ["helped"]

    run(go())


def test_a_changed_pod_is_tried_again_but_its_status_is_no_change() -> None:
    async def go() -> None:
        bench = Bench()
        await bench.rejected("a")
        await bench.clock.advance(5)
        bench.put("a", phase="Pending")
        bench.put("a", phase="Odd")
        assert await bench.names() == []
        bench.put("a", tolerations=[{"operator": "Exists"}])
        assert await bench.names() == ["a"]

    run(go())


def test_a_pod_changed_in_flight_is_tried_again_after_back_off() -> None:
    async def go() -> None:
        bench = Bench()
        bench.put("a")
        queued = await bench.take()
        bench.put("a", tolerations=[{"operator": "Exists"}])
        bench.queue.reject(queued, FIT)
        await bench.clock.advance(1)
        again = await bench.take()
        assert again.info.spec["tolerations"]

    run(go())


def test_after_five_minutes_a_pod_is_tried_again_anyway() -> None:
    async def go() -> None:
        bench = Bench()
        await bench.rejected("a")
        await bench.clock.advance(100)
        await bench.rejected("b")
        popping = asyncio.ensure_future(bench.queue.pop())
        await bench.clock.advance(199)
        assert not popping.done()
        await bench.clock.advance(1)
        assert popping.done()
        assert popping.result().info.name == "a"
        assert bench.queue.counts()["unschedulable"] == 1

    run(go())


def test_the_first_pod_keeps_its_place_among_equals_after_back_off() -> None:
    async def go() -> None:
        bench = Bench()
        bench.put("old")
        bench.queue.retry(await bench.take())
        await bench.clock.advance(1)
        bench.put("new")
        assert await bench.names() == ["old", "new"]

    run(go())
