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


def names(text: str) -> list[str]:
    """Return what a comma-separated list names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def positive(text: str) -> int:
    """Return a number above zero. Raises ArgumentTypeError, for argparse."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be greater than 0, but got {number}")
    return number


def whole(text: str) -> int:
    """Return a number. Raises ArgumentTypeError, for argparse."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'invalid number "{text}"') from None
