"""Caches keyed by what clients write."""

from __future__ import annotations

from podium.base.caching import KEPT_LENGTH_MAX, kept_if_short


def test_short_texts_are_made_something_of_once_and_long_ones_are_not_kept() -> None:
    asked: list[str] = []

    @kept_if_short(2)
    def upper(text: str) -> str:
        asked.append(text)
        return text.upper()

    long = "x" * (KEPT_LENGTH_MAX + 1)
    for text in ("a", "a", long, long):
        assert upper(text) == text.upper()
    assert asked == ["a", long, long]
