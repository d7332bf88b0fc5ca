"""The types of flags that argparse has none for."""

from __future__ import annotations

import argparse


def boolean(text: str) -> bool:
    """Return what Go's flags take for a truth value. Raises ArgumentTypeError, for argparse."""
    if text.lower() in ("true", "t", "1"):
        return True
    if text.lower() in ("false", "f", "0"):
        return False
    raise argparse.ArgumentTypeError(f'invalid boolean value "{text}"')
