"""IntOrString: `3` or `"25%"` of something. Pure."""

from __future__ import annotations

from podium.machinery.errors import Json


def scaled(value: Json, total: int, *, round_up: bool) -> int:
    """Return `value` as a number: itself, or its percentage of `total`. Raises ValueError on other text."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    text = str(value)
    if not text.endswith("%") or not text[:-1].lstrip("-").isdecimal():
        raise ValueError(f"invalid value for IntOrString: {text!r} is not a percentage")
    percent = int(text[:-1])
    # Integers throughout: floats would round 7% of 100 up to 8.
    return -(-total * percent // 100) if round_up else total * percent // 100
