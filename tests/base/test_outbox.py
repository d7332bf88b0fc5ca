"""Sending to many streams: some of them to a turn, and what is written in between leaves together."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest

from podium.base.http import stream as outboxes
from podium.base.http.stream import FLUSHES_A_TURN, REST, REST_MIN_S, Outbox


class Loop:
    """Callbacks, run by hand; `delays` are those that were asked for."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self.delays: list[float] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.delays.append(delay)
        self.callbacks.append(callback)

    def turn(self) -> None:
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()


class Recorder:
    """A stream that only counts its pieces."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.waiting: list[bytes] = []
        self.sent: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self.waiting:
            self.outbox.flush_soon(cast(Any, self))
        self.waiting.append(data)

    def flush(self) -> None:
        self.sent.append(b"".join(self.waiting))
        self.waiting = []


def test_few_streams_wait_for_nobody() -> None:
    loop = Loop()
    streams = [Recorder(Outbox(cast(Any, loop)))]
    streams += [Recorder(streams[0].outbox) for _ in range(FLUSHES_A_TURN - 1)]
    for stream in streams:
        stream.write(b"a")
    loop.turn()
    assert [stream.sent for stream in streams] == [[b"a"]] * FLUSHES_A_TURN
    assert (loop.callbacks, loop.delays) == ([], [])


def test_many_streams_rest_now_and_then_and_send_in_one_piece_what_came_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outboxes, "REST_MIN_S", 0.0)
    loop = Loop()
    outbox = Outbox(cast(Any, loop))
    streams = [Recorder(outbox) for _ in range(2 * FLUSHES_A_TURN)]
    for stream in streams:
        stream.write(b"a")
    loop.turn()
    assert len(loop.delays) == 1, "the others rest"
    for stream in streams:
        stream.write(b"b")
    while loop.callbacks:
        loop.turn()
    first, second = streams[:FLUSHES_A_TURN], streams[FLUSHES_A_TURN:]
    assert all(stream.sent == [b"a", b"b"] for stream in first)
    assert all(stream.sent == [b"ab"] for stream in second)


def test_rests_too_short_for_the_loops_timers_are_saved_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(0.0, 1.5 * REST_MIN_S / REST / 2)  # each turn seems to take so long
    monkeypatch.setattr(outboxes, "perf_counter", lambda: next(clock))
    loop = Loop()
    outbox = Outbox(cast(Any, loop))
    for stream in [Recorder(outbox) for _ in range(3 * FLUSHES_A_TURN)]:
        stream.write(b"a")
    loop.turn()
    assert loop.delays == [], "the next turn comes at once"
    loop.turn()
    assert loop.delays == [pytest.approx(1.5 * REST_MIN_S)]
