"""Retry-After: one second, more under overload, and back."""

from __future__ import annotations

from podium.apiserver.flowcontrol.dropped import Dropped


def test_it_doubles_while_many_are_rejected_and_comes_back() -> None:
    dropped = Dropped()
    seen = []
    for second in range(1000, 1070):
        for _ in range(200):
            dropped.record(second)
        seen.append(dropped.retry_after_s)
    assert seen[0] == 1
    assert seen[-1] == 32
    assert set(seen) == {1, 2, 4, 8, 16, 32}
    for second in range(1200, 1300, 2):
        dropped.record(second)
    assert dropped.retry_after_s == 1


def test_a_few_change_nothing() -> None:
    dropped = Dropped()
    for second in range(1000, 1100, 2):
        dropped.record(second)
    assert dropped.retry_after_s == 1
