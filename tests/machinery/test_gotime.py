"""Times as upstream reads and refuses them."""

from __future__ import annotations

import pytest

from podium.machinery import gotime


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05.999Z", "2026-01-02T03:04:05Z"),
        ("2026-01-02T03:04:05+01:00", "2026-01-02T02:04:05Z"),
        ("0001-01-01T00:00:00Z", None),
    ],
)
def test_times(text: str, canonical: str | None) -> None:
    assert gotime.canonical_time(text) == canonical


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-01-02T03:04:05.000000Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05.123456-01:00", "2026-01-02T04:04:05.123456Z"),
        ("0001-01-01T00:00:00.000000Z", None),
    ],
)
def test_micro_times(text: str, canonical: str | None) -> None:
    assert gotime.canonical_micro_time(text) == canonical


HEAD = 'as "2006-01-02T15:04:05Z07:00": cannot parse'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f'parsing time "" {HEAD} "" as "2006"'),
        ("yesterday", f'parsing time "yesterday" {HEAD} "yesterday" as "2006"'),
        ("2026-1-02T00:00:00Z", f'parsing time "2026-1-02T00:00:00Z" {HEAD} "1-02T00:00:00Z" as "01"'),
        ("2026-01-02", f'parsing time "2026-01-02" {HEAD} "" as "T"'),
        ("2026-01-02T00:00:00", f'parsing time "2026-01-02T00:00:00" {HEAD} "" as "Z07:00"'),
        ("2026-13-02T00:00:00Z", 'parsing time "2026-13-02T00:00:00Z": month out of range'),
        ("2026-02-30T00:00:00Z", 'parsing time "2026-02-30T00:00:00Z": day out of range'),
        ("2026-01-02T24:00:00Z", 'parsing time "2026-01-02T24:00:00Z": hour out of range'),
        ("2026-01-02T00:00:00Zx", 'parsing time "2026-01-02T00:00:00Zx": extra text: "x"'),
    ],
)
def test_what_is_no_time(text: str, message: str) -> None:
    with pytest.raises(gotime.TimeError) as caught:
        gotime.canonical_time(text)
    assert str(caught.value) == message


def test_a_micro_time_needs_its_decimals() -> None:
    with pytest.raises(gotime.TimeError, match=r'cannot parse "Z" as ".000000"'):
        gotime.canonical_micro_time("2026-01-02T03:04:05Z")
