"""Tables and ages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from podium.machinery import table as tables
from podium.machinery.resource import Column, Resource

NOW = datetime(2026, 1, 1, tzinfo=UTC)
M, H, D, Y = 60, 3600, 86400, 365 * 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (2 * M, "2m"),
        (5 * M + 30, "5m30s"),
        (10 * M - 1, "9m59s"),
        (10 * M + 59, "10m"),
        (3 * H - 1, "179m"),
        (3 * H, "3h"),
        (8 * H - M, "7h59m"),
        (8 * H, "8h"),
        (48 * H - 1, "47h"),
        (2 * D, "2d"),
        (2 * D + 3 * H, "2d3h"),
        (8 * D - 1, "7d23h"),
        (8 * D + 5 * H, "8d"),
        (2 * Y - 1, "729d"),
        (2 * Y, "2y"),
        (2 * Y + 5 * D, "2y5d"),
        (8 * Y, "8y"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert tables.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-2, "<invalid>"), (0, "0s"), (59, "59s"), (60, "1m"), (2 * H, "2h"), (36 * H, "1d"), (2 * Y, "2y")],
)
def test_short_durations(seconds: float, text: str) -> None:
    assert tables.short_duration(seconds) == text


@pytest.mark.parametrize(
    ("created", "text"),
    [("2025-12-31T23:00:00Z", "60m"), (None, "<unknown>"), ("garbage", "<unknown>")],
)
def test_age(created: str | None, text: str) -> None:
    assert tables.age({"metadata": {"creationTimestamp": created}}, NOW) == text


RESOURCE = Resource(
    group="g",
    version="v1",
    kind="Thing",
    plural="things",
    namespaced=True,
    schema="",
    columns=(
        Column(name="Name", value=lambda obj, now: obj["metadata"]["name"], format="name"),
        Column(name="Age", value=tables.age, priority=1),
    ),
)
THING: dict[str, Any] = {
    "metadata": {"name": "a", "creationTimestamp": (NOW - timedelta(seconds=5)).isoformat()},
    "spec": {},
}


def test_a_table_has_columns_and_rows() -> None:
    made = tables.table(RESOURCE, [THING], now=NOW, list_meta={"resourceVersion": "7"})
    assert made["kind"] == "Table"
    assert made["apiVersion"] == "meta.k8s.io/v1"
    assert made["metadata"] == {"resourceVersion": "7"}
    assert made["columnDefinitions"] == [
        {"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0},
        {"name": "Age", "type": "string", "format": "", "description": "", "priority": 1},
    ]
    assert made["rows"] == [
        {
            "cells": ["a", "5s"],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": THING["metadata"],
            },
        }
    ]


def test_rows_carry_what_was_asked_for() -> None:
    whole = tables.table(RESOURCE, [THING], now=NOW, include_object="Object")
    assert whole["rows"][0]["object"] == {**THING, "kind": "Thing", "apiVersion": "g/v1"}
    bare = tables.table(RESOURCE, [THING], now=NOW, include_object="None", columns_too=False)
    assert bare["rows"][0]["object"] is None
    assert bare["columnDefinitions"] is None


def test_a_kind_without_columns_shows_name_and_creation() -> None:
    plain = Resource(version="v1", kind="Thing", plural="things", namespaced=True, schema="")
    made = tables.table(plain, [{"metadata": {"name": "a"}}], now=NOW)
    assert [column["name"] for column in made["columnDefinitions"]] == ["Name", "Created At"]
    assert made["rows"][0]["cells"] == ["a", "<unknown>"]


def test_rows_say_what_has_completed() -> None:
    done = {"type": "Completed", "status": "True"}
    resource = replace(RESOURCE, row_conditions=lambda obj: [done] if "done" in obj else [])
    rows = tables.table(resource, [THING, {**THING, "done": 1}], now=NOW)["rows"]
    assert [row.get("conditions") for row in rows] == [None, [done]]
