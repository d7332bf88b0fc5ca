"""Turns of the event loop: given at once, in fair order among levels, and only when the loop is crowded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from podium.apiserver.flowcontrol import turn
from podium.apiserver.flowcontrol.fair_queue import Work
from podium.apiserver.flowcontrol.level import Level, LevelSpec
from podium.apiserver.flowcontrol.metrics import FlowControlMetrics, LevelFigures
from podium.apiserver.flowcontrol.sharing import Limits
from podium.apiserver.flowcontrol.turn import CROWDED_S, GLANCES, Pump, Turn, Waiting
from podium.base.metrics import Registry
from podium.base.tasks import run_at_once


def level(name: str, seats: int) -> Level:
    spec = LevelSpec(name=name, shares=seats, queues=1, hand_size=1, length_max=1000)
    made = Level(spec, LevelFigures(FlowControlMetrics(Registry()), name), 0.0)
    made.configure(spec, Limits(nominal=seats, minimum=seats, maximum=seats))
    return made


class Crowd:
    """Requests that wait in levels, and the order in which they go on."""

    def __init__(self, *levels: Level) -> None:
        self.levels = levels
        self.pump = Pump(lambda: self.levels, lambda _level, _ticket: None, lambda _level: None)
        self.order: list[str] = []

    def comes(self, level: Level, *, loop_s: float = 0.0) -> asyncio.Task[None]:
        ticket = Waiting(Work(), 0.0, service_s=0.001, loop_s=loop_s)
        first = not level.queues.has_waiting
        assert level.queues.enqueue(ticket, (0,), 0.0) == ""
        ticket.turn_given = Turn(loop=asyncio.get_running_loop())
        self.pump.joined(level, first=first)

        async def wait() -> None:
            assert ticket.turn_given is not None
            assert await ticket.turn_given
            self.order.append(level.name)
            level.queues.finish(ticket, 0.0)

        return asyncio.create_task(wait())


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await main()

    asyncio.run(bounded())


def test_a_turn_is_given_to_a_waiting_task_before_that_returns() -> None:
    async def main() -> None:
        given: Turn = Turn(loop=asyncio.get_running_loop())
        seen: list[object] = []

        async def wait() -> None:
            seen.append(await given)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(lambda: seen.append((given.give(verdict=True), list(seen))))
        await task
        assert seen == [True, (True, [True])]

    run(main)


def test_a_turn_given_before_its_task_waits_is_taken_in_its_first_step() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        given: Turn = Turn(loop=loop)
        seen: list[bool] = []

        async def work() -> None:
            seen.append(await given)

        def read() -> None:
            tasks.append(run_at_once(loop, work()))
            assert not given.give(verdict=False)

        tasks: list[asyncio.Task[None] | None] = []
        loop.call_soon(read)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen == [False]
        assert tasks[0] is not None

    run(main)


@pytest.mark.parametrize("how", ["fail", "cancel"])
def test_a_wait_may_end_otherwise(how: str) -> None:
    async def main() -> None:
        given: Turn = Turn(loop=asyncio.get_running_loop())

        async def wait() -> None:
            await given

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        if how == "fail":
            given.fail(ConnectionResetError("gone"))
            with pytest.raises(ConnectionResetError):
                await task
        else:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert not given.give(verdict=True)

    run(main)


def test_a_light_load_is_never_crowded_and_a_long_turn_is() -> None:
    async def main() -> None:
        pump = Crowd(level("a", 5)).pump
        for glance in range(10 * GLANCES):
            assert not pump.is_crowded(float(glance))
            await asyncio.sleep(0)  # A turn of its own for each.
        for _ in range(GLANCES):
            assert not pump.is_crowded(1000.0)
        assert not pump.is_crowded(1000.0 + CROWDED_S / 2)
        assert pump.is_crowded(1000.0 + CROWDED_S * 2)
        await asyncio.sleep(0)
        assert not pump.is_crowded(2000.0)

    run(main)


def test_whoever_waits_makes_it_crowded_until_nobody_does() -> None:
    async def main() -> None:
        busy = level("a", 5)
        crowd = Crowd(busy)
        waiting = crowd.comes(busy)
        assert crowd.pump.is_crowded(0.0)
        await waiting
        assert not crowd.pump.is_crowded(0.0)
        assert crowd.pump.waiting == 0

    run(main)


def test_who_waits_for_seats_only_does_not_make_it_crowded() -> None:
    async def main() -> None:
        full = level("a", 0)
        crowd = Crowd(full)
        waiting = crowd.comes(full)
        for _ in range(3):
            await asyncio.sleep(0)
        assert crowd.pump.waiting == 1
        assert not crowd.pump.is_crowded(0.0)
        full.queues.limit = 1
        crowd.pump.schedule()
        await waiting

    run(main)


def test_levels_get_the_loop_by_their_seats(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock on which every request takes a millisecond.
    now = 0.0

    def tick() -> float:
        nonlocal now
        now += 0.0005
        return now

    monkeypatch.setattr(turn, "perf_counter", tick)

    async def main() -> None:
        large, small = level("large", 90), level("small", 30)
        crowd = Crowd(large, small)
        tasks = [crowd.comes(one) for _ in range(200) for one in (large, small)]
        await asyncio.gather(*tasks)
        first = crowd.order[:100]
        assert 70 <= first.count("large") <= 80
        # Who comes late is not owed the time when it did not ask.
        late = level("late", 30)
        crowd.levels = (large, late)
        crowd.order.clear()
        tasks = [crowd.comes(large) for _ in range(100)]
        await asyncio.sleep(0)
        tasks += [crowd.comes(late) for _ in range(100)]
        await asyncio.gather(*tasks)
        assert 20 <= crowd.order[crowd.order.index("late") :][:100].count("late") <= 32

    run(main)
