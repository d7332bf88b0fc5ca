"""Durations in flags, as Go writes them: `40s`, `1m30s`, `500ms`."""

from __future__ import annotations

import argparse

from podium.machinery import durations


def duration_s(text: str) -> float:
    """Return the seconds of a duration. Raises ArgumentTypeError, for argparse."""
    try:
        return durations.parse_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
