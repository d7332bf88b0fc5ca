"""Sending to many streams: some of them to a turn, and what is written in between leaves together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from podium.base.http.stream import FLUSHES_A_TURN, Outbox


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


def test_many_streams_rest_between_turns_and_send_in_one_piece_what_came_meanwhile() -> None:
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
