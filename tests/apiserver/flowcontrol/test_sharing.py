"""Seats among levels: by shares, and by who lends to whom."""

from __future__ import annotations

import random

import pytest

from podium.apiserver.flowcontrol.sharing import Claim, Demand, Limits, Member, allocate, limits, share_out


@pytest.mark.parametrize(
    ("shares", "lendable", "borrowing", "found"),
    [
        (100, 90, None, Limits(nominal=245, minimum=24, maximum=845)),
        (40, 25, None, Limits(nominal=98, minimum=73, maximum=698)),
        (10, 0, None, Limits(nominal=25, minimum=25, maximum=625)),
        (5, 0, 0, Limits(nominal=13, minimum=13, maximum=13)),
        (20, 50, 100, Limits(nominal=49, minimum=24, maximum=98)),
        (0, 0, None, Limits(nominal=0, minimum=0, maximum=600)),
    ],
)
def test_limits(shares: int, lendable: int, borrowing: int | None, found: Limits) -> None:
    assert limits(shares, lendable, borrowing, shares_sum=245, total=600) == found


def claim(target: float, lower: float, upper: float) -> Claim:
    return Claim(target=target, lower=lower, upper=upper)


@pytest.mark.parametrize(
    ("total", "claims", "expected"),
    [
        (10, [claim(1, 0, 10), claim(1, 0, 10)], [5, 5]),
        (10, [claim(3, 0, 10), claim(1, 0, 10)], [7.5, 2.5]),
        (10, [claim(3, 0, 4), claim(1, 0, 10)], [4, 6]),
        (10, [claim(9, 8, 10), claim(9, 0, 10)], [8, 2]),
        (10, [claim(0, 0, 10), claim(5, 5, 10)], [0, 10]),
        (6, [claim(2, 2, 9), claim(4, 4, 9)], [2, 4]),
        (18, [claim(2, 2, 9), claim(4, 4, 9)], [9, 9]),
    ],
)
def test_allocations(total: float, claims: list[Claim], expected: list[float]) -> None:
    found, _ = allocate(total, claims)
    assert found == pytest.approx(expected, abs=0.01)


def test_allocations_keep_their_law() -> None:
    chance = random.Random(7)
    for _ in range(300):
        claims = []
        for _ in range(chance.randrange(1, 9)):
            lower = chance.uniform(0, 20)
            claims.append(claim(lower + chance.uniform(0, 50), lower, lower + chance.uniform(0, 100)))
        total = chance.uniform(sum(c.lower for c in claims), sum(c.upper for c in claims))
        found, fair = allocate(total, claims)
        assert sum(found) == pytest.approx(total, rel=1e-6)
        for got, each in zip(found, claims, strict=True):
            fairly = fair * max(each.target, 0.001)
            assert each.lower - 1e-6 <= got <= each.upper + 1e-6
            assert got == pytest.approx(min(each.upper, max(each.lower, fairly)), abs=1e-6)


@pytest.mark.parametrize("total", [1, 100])
def test_bounds_that_leave_nothing_are_refused(total: float) -> None:
    with pytest.raises(ValueError, match="bounds"):
        allocate(total, [claim(5, 2, 9)])


def member(
    nominal: int, lendable: int, *, high: int = 0, smoothed: float = 0, exempt: bool = False
) -> Member:
    return Member(
        limits=Limits(nominal=nominal, minimum=nominal - lendable, maximum=1000),
        demand=Demand(high=high, smoothed=smoothed),
        current=nominal,
        exempt=exempt,
    )


def test_the_idle_lend_to_the_busy_and_keep_what_is_theirs() -> None:
    seats, fair = share_out(
        {
            "busy": member(245, 220, high=600, smoothed=600),
            "idle": member(245, 220),
            "private": member(110, 0),
        }
    )
    assert seats["idle"] == 25
    assert seats["private"] == 110
    assert seats["busy"] == 465
    assert 0 < fair < 1


def test_nobody_is_pushed_below_what_it_uses_of_its_own() -> None:
    seats, _ = share_out(
        {"greedy": member(100, 90, high=900, smoothed=900), "steady": member(100, 90, high=60, smoothed=60)}
    )
    assert seats["steady"] >= 60
    assert sum(seats.values()) == pytest.approx(200, abs=1)


def test_exempt_demand_comes_out_of_the_others() -> None:
    levels = {
        "exempt": member(0, 0, high=150, exempt=True),
        "a": member(100, 100, high=100, smoothed=100),
        "b": member(100, 100, high=100, smoothed=100),
    }
    seats, fair = share_out(levels)
    assert seats == {"exempt": 150, "a": 25, "b": 25}
    assert fair == 0
    seats, _ = share_out({**levels, "exempt": member(0, 0, high=500, exempt=True)})
    assert (seats["a"], seats["b"]) == (0, 0)


def test_demand_rises_at_once_and_falls_by_half_in_five_minutes() -> None:
    demand = Demand()
    demand.take(average=80, deviation=20, high=120.4)
    assert (demand.high, demand.smoothed) == (120, 100)
    for _ in range(30):
        demand.take(average=0, deviation=0, high=0)
    assert demand.smoothed == pytest.approx(50, rel=0.01)
