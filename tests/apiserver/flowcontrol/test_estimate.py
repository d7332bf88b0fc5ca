"""How wide requests are thought to be: upstream's figures."""

from __future__ import annotations

from typing import Any

import pytest

from podium.apiserver.flowcontrol.estimate import ListQuery, Stored, list_query, of_list, of_write
from podium.apiserver.flowcontrol.fair_queue import Work
from podium.base.http.message import query_of
from tests.apiserver.fakes import asks

LIST, WATCH, ONE_BY_NAME = asks("list", "pods"), asks("watch", "pods"), asks("list", "pods", name="a")
PODS = Stored(count=5000, size_bytes=21_500_000)
SMALL = Stored(count=50, size_bytes=200_000)


@pytest.mark.parametrize(
    ("info", "query", "stored", "seats_max", "seats"),
    [
        (LIST, {}, PODS, 0, 10),
        (LIST, {}, PODS, 8, 8),
        (LIST, {}, SMALL, 0, 2),
        (LIST, {}, Stored(count=0, size_bytes=0), 0, 1),
        (LIST, {}, None, 0, 1),
        (LIST, {"limit": 50}, PODS, 0, 3),
        (LIST, {"limit": 1}, PODS, 0, 1),
        (ONE_BY_NAME, {}, PODS, 0, 1),
        (LIST, {"continued": True}, PODS, 0, 100),
        (LIST, {"continued": True, "limit": 500}, PODS, 0, 22),
        (LIST, {"continued": True, "limit": 500, "selects": True}, PODS, 0, 100),
        (LIST, {"resource_version": "7", "limit": 500}, PODS, 0, 22),
        (LIST, {"resource_version": "7", "limit": 500, "version_match": "NotOlderThan"}, PODS, 0, 10),
        (LIST, {"resource_version": "7", "version_match": "Exact"}, PODS, 37, 37),
        (LIST, {"valid": False}, PODS, 0, 100),
        (WATCH, {"resource_version": "7"}, PODS, 0, 1),
        (WATCH, {}, PODS, 0, 10),
        (WATCH, {"resource_version": "0"}, PODS, 0, 10),
        (WATCH, {"resource_version": "7", "sends_initial_events": True}, PODS, 0, 10),
    ],
)
def test_lists_by_size(info: Any, query: Any, stored: Stored | None, seats_max: int, seats: int) -> None:
    assert of_list(info, ListQuery(**query), stored, seats_max) == Work(seats=seats)


@pytest.mark.parametrize(
    ("query", "stored", "seats"),
    [
        ({}, PODS, 10),
        ({}, Stored(count=420, size_bytes=0), 5),
        ({"limit": 10}, Stored(count=420, size_bytes=0), 5),
        ({"continued": True, "limit": 100}, PODS, 2),
        ({"continued": True, "limit": 100, "selects": True}, Stored(count=500, size_bytes=0), 6),
    ],
)
def test_lists_by_count(query: Any, stored: Stored, seats: int) -> None:
    assert of_list(LIST, ListQuery(**query), stored, 0, by_size=False) == Work(seats=seats)


@pytest.mark.parametrize(
    ("watches", "seats_max", "work"),
    [
        (0, 0, Work()),
        (9, 0, Work()),
        (10, 0, Work(final_seats=1, final_s=0.005)),
        (25, 0, Work(final_seats=3, final_s=0.005)),
        (1000, 0, Work(final_seats=10, final_s=0.05)),
        (1000, 4, Work(final_seats=4, final_s=0.125)),
    ],
)
def test_writes(watches: int, seats_max: int, work: Work) -> None:
    found = of_write(watches, seats_max)
    assert (found.seats, found.final_seats) == (work.seats, work.final_seats)
    assert found.final_s == pytest.approx(work.final_s)


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("limit=5&labelSelector=a%3Db", ListQuery(limit=5, selects=True)),
        ("limit=x", ListQuery(valid=False)),
        ("limit=-3", ListQuery()),
        (
            "resourceVersion=4&resourceVersionMatch=Exact",
            ListQuery(resource_version="4", version_match="Exact"),
        ),
        ("continue=abc&sendInitialEvents=true", ListQuery(continued=True, sends_initial_events=True)),
    ],
)
def test_parameters(query: str, read: ListQuery) -> None:
    assert list_query(query_of(query)) == read
