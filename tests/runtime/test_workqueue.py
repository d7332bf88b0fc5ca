"""The work queue's promises: no key twice in the queue, none twice in work, none forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from podium.runtime.workqueue import ShutDown, WorkQueue
from tests.runtime.fakes import FakeClock, settle


def run(test: Callable[[WorkQueue[str], FakeClock], Awaitable[None]]) -> None:
    async def go() -> None:
        clock = FakeClock()
        await test(WorkQueue(clock=clock), clock)

    asyncio.run(go())


def test_a_waiting_key_is_not_added_again() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        queue.add("a")
        queue.add("b")
        queue.add("a")
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        assert len(queue) == 0

    run(test)


def test_a_key_added_while_in_work_waits_until_done() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        queue.add("a")
        await queue.get()
        queue.add("a")
        queue.add("a")
        assert len(queue) == 0
        queue.done("a")
        assert await queue.get() == "a"
        queue.done("a")
        assert queue.idle

    run(test)


def test_a_getter_waits_for_a_key() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        getter = asyncio.ensure_future(queue.get())
        await settle()
        assert not getter.done()
        queue.add("a")
        assert await getter == "a"

    run(test)


def test_of_several_delays_the_earliest_counts() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        queue.add_after("a", 10)
        queue.add_after("a", 5)
        queue.add_after("a", 20)
        getter = asyncio.ensure_future(queue.get())
        await clock.advance(4.9)
        assert not getter.done()
        await clock.advance(0.2)
        assert await getter == "a"
        queue.done("a")
        await clock.advance(60)
        assert len(queue) == 0

    run(test)


def test_a_sleeping_getter_learns_of_an_earlier_timer() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        queue.add_after("late", 100)
        getter = asyncio.ensure_future(queue.get())
        await settle()
        queue.add_after("early", 1)
        await clock.advance(1)
        assert await getter == "early"

    run(test)


def test_every_one_of_several_getters_is_served_by_timers() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        getters = [asyncio.ensure_future(queue.get()) for _ in range(3)]
        await settle()
        for number in range(3):
            queue.add_after(f"k{number}", 1 + number)
        for number in range(3):
            await clock.advance(1)
            assert sum(getter.done() for getter in getters) == number + 1
        assert sorted([getter.result() for getter in getters]) == ["k0", "k1", "k2"]

    run(test)


def test_failures_double_the_delay_until_forgotten() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        delays = []
        for _ in range(4):
            queue.add_rate_limited("a")
            start = clock.monotonic_s()
            while not len(queue):
                await clock.advance(0.001)
            delays.append(round(clock.monotonic_s() - start, 3))
            queue.done(await queue.get())
        assert delays == [0.005, 0.01, 0.02, 0.04]
        assert queue.failures("a") == 4
        queue.forget("a")
        assert queue.failures("a") == 0

    run(test)


def test_a_cancelled_getter_passes_its_wake_up_on() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        first = asyncio.ensure_future(queue.get())
        second = asyncio.ensure_future(queue.get())
        await settle()
        queue.add("a")
        first.cancel()
        await settle()
        assert first.cancelled()
        assert await second == "a"

    run(test)


def test_many_failures_at_once_come_back_no_faster_than_the_bucket_lets_them() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        for number in range(130):
            queue.add_rate_limited(str(number))
        await clock.advance(0.005)
        assert len(queue) == 100
        await clock.advance(1.0)
        assert len(queue) == 110
        await clock.advance(2.0)
        assert len(queue) == 130

    run(test)


def test_what_is_in_work_at_the_shut_down_is_finished_and_nothing_else_begun() -> None:
    async def test(queue: WorkQueue[str], clock: FakeClock) -> None:
        for key in ("a", "b"):
            queue.add(key)
        taken = await queue.get()
        waiting = [asyncio.ensure_future(queue.get()) for _ in range(3)]
        await settle()
        queue.add_after("c", 1)
        queue.shut_down()
        queue.add("d")
        queue.add(taken)
        queue.done(taken)
        await clock.advance(5)
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(result) for result in results if not isinstance(result, str)] == [ShutDown, ShutDown]
        assert len(queue) == 0
        with pytest.raises(ShutDown):
            await queue.get()

    run(test)
