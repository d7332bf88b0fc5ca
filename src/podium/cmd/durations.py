"""Durations in flags, as Go writes them: `40s`, `1m30s`, `500ms`."""

from __future__ import annotations

import argparse
import re

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float:
    """Return the seconds of a duration. Raises ArgumentTypeError, for argparse."""
    if text == "0":
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f'invalid duration "{text}"')
    return sum(float(number) * _UNITS_S[unit] for number, unit in parts)
