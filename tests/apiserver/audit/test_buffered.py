"""Mode batch: what waits, what goes on together, and what is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.apiserver.audit import buffered
from podium.apiserver.audit.buffered import Batching, Buffered, Throttle
from podium.apiserver.audit.pauses import pause
from podium.base.clock import WallClock
from tests.apiserver.audit.helpers import Counted, Sink, event, run, until
from tests.apiserver.fakes import FakeClock


class Hand:
    """A clock whose sleepers wait until they are told to go on."""

    def __init__(self) -> None:
        self.sleeping: list[tuple[float, asyncio.Event]] = []

    def now(self) -> Any:
        raise NotImplementedError  # Batches are timed by the monotonic clock alone.

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self.sleeping.append((seconds, woken))
        await woken.wait()

    def wake(self) -> None:
        self.sleeping.pop(0)[1].set()


def buffering(clock: Any, sink: Sink, counted: Counted, **more: Any) -> tuple[Buffered, asyncio.Event]:
    ending = asyncio.Event()
    return Buffered(sink, Batching(**more), counted.losses, clock, ending), ending


def test_a_batch_leaves_when_it_is_full_or_has_waited(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        clock, sink, counted = Hand(), Sink(), Counted()
        buffer, _ = buffering(clock, sink, counted, size_max=3, wait_max_s=30, throttled=False)
        await buffer.process([event("a"), event("b")])
        await until(lambda: bool(clock.sleeping))
        assert clock.sleeping[0][0] == 30
        assert sink.batches == []
        await buffer.process([event("c"), event("d")])
        await until(lambda: sink.batches == [["a", "b", "c"]])
        await until(lambda: len(clock.sleeping) == 2)
        clock.wake()  # of the one before, which is gone
        clock.wake()
        await until(lambda: sink.batches == [["a", "b", "c"], ["d"]])
        await buffer.close()
        assert sink.closed

    run(main)


def test_batches_of_one_do_not_wait() -> None:
    async def main() -> None:
        sink, counted = Sink(), Counted()
        buffer, _ = buffering(Hand(), sink, counted, size_max=1, throttled=False, concurrent=False)
        await buffer.process([event("a"), event("b")])
        await until(lambda: sink.batches == [["a"], ["b"]])
        await buffer.close()

    run(main)


def test_what_there_is_no_room_for_is_lost_and_counted() -> None:
    async def main() -> None:
        sink, counted = Sink(), Counted()
        buffer, _ = buffering(Hand(), sink, counted, buffer_size=3, size_max=10, throttled=False)
        assert await buffer.process([event(str(number)) for number in range(5)])
        assert counted.lost("buffered") == 2
        await buffer.close()
        assert sink.names == ["0", "1", "2"]
        assert await buffer.process([event("late")])
        assert counted.lost("buffered") == 3

    run(main)


def test_the_bytes_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffered, "BUFFER_BYTES_MAX", 10_000)

    async def main() -> None:
        sink, counted = Sink(), Counted()
        buffer, _ = buffering(Hand(), sink, counted, throttled=False)
        await buffer.process([event("a", objects=6000), event("b", objects=6000)])
        assert counted.lost("buffered") == 1
        await buffer.close()
        assert sink.names == ["a"]

    run(main)


def test_a_backend_that_hangs_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffered, "SENDS_MAX", 2)
    monkeypatch.setattr(buffered, "CLOSE_WITHIN_S", 0.05)

    async def main() -> None:
        sink, counted = Sink(), Counted()
        sink.may_go.clear()
        buffer, ending = buffering(WallClock(), sink, counted, buffer_size=4, size_max=1, throttled=False)
        for number in range(10):
            await buffer.process([event(str(number))])
            await asyncio.sleep(0)
        # Two are under way, and four wait; of the rest nothing is kept.
        lost = counted.lost("buffered")
        assert lost >= 3
        ending.set()
        await buffer.close()
        assert sink.names == []
        assert counted.lost("buffered") == 10

    run(main)


def test_everything_is_passed_on_at_the_end() -> None:
    async def main() -> None:
        sink, counted = Sink(), Counted()
        buffer, ending = buffering(Hand(), sink, counted, size_max=4, qps=0.001, burst=1)
        await buffer.process([event(str(number)) for number in range(10)])
        ending.set()
        await buffer.close()
        assert sorted(map(len, sink.batches)) == [2, 4, 4]
        assert counted.lost("buffered") == 0

    run(main)


def test_the_throttle() -> None:
    clock = FakeClock()
    throttle = Throttle(10, 2, clock)
    assert [throttle.take_s() for _ in range(4)] == [0, 0, pytest.approx(0.1), pytest.approx(0.2)]
    clock.advance(10)
    assert [throttle.take_s() for _ in range(3)] == [0, 0, pytest.approx(0.1)]


def test_pauses_end_early() -> None:
    async def main() -> None:
        clock, happened = Hand(), asyncio.Event()
        waiting = asyncio.ensure_future(pause(clock, 5, happened))
        await until(lambda: bool(clock.sleeping))
        happened.set()
        await waiting
        await pause(clock, 5, happened)
        await pause(FakeClock(), 5, asyncio.Event())

    run(main)
