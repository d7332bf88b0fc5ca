"""Which seeds run. `make test` runs a thousand in all; the environment asks for more, or for one alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import pytest

ALL = 1000
SEEDS_VARIABLE = "PODIUM_SIMULATION_SEEDS"
ONE_VARIABLE = "PODIUM_SIMULATION_SEED"

Test = TypeVar("Test", bound=Callable[..., object])


def seeds(share: int) -> Callable[[Test], Test]:
    """Parametrise a test with `seed`: `share` of a thousand, in proportion when more are asked for."""
    return pytest.mark.parametrize("seed", _seeds(share))


def _seeds(share: int) -> range:
    one = os.environ.get(ONE_VARIABLE)
    if one is not None:
        return range(int(one), int(one) + 1)
    return range(share * int(os.environ.get(SEEDS_VARIABLE, ALL)) // ALL)
