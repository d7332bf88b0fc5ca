"""Durations as Go reads and prints them."""

from __future__ import annotations

import pytest

from podium.machinery import durations


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("0", 0, "0s"),
        ("30s", 30, "30s"),
        ("1m30s", 90, "1m30s"),
        ("1.5h", 5400, "1h30m0s"),
        ("500ms", 0.5, "500ms"),
        ("-2s", -2, "-2s"),
        ("+.5s", 0.5, "500ms"),
        ("1500us", 0.0015, "1.5ms"),
        ("1h0.25s", 3600.25, "1h0m0.25s"),
    ],
)
def test_read_and_shown(text: str, seconds: float, shown: str) -> None:
    assert durations.parse_s(text) == seconds
    assert durations.shown(seconds) == shown


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", 'time: invalid duration ""'),
        ("soon", 'time: invalid duration "soon"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("1m5x", 'time: unknown unit "x" in duration "1m5x"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
    ],
)
def test_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as error:
        durations.parse_s(text)
    assert str(error.value) == complaint
