"""A component ends with 0 when told to, with 1 when it crashes."""

from __future__ import annotations

import asyncio
import os
import signal

from podium.runtime.process import run_component


def test_a_return_is_0() -> None:
    async def main() -> None:
        return

    assert run_component(main) == 0


def test_a_crash_is_1() -> None:
    async def main() -> None:
        raise ValueError("a bug")

    assert run_component(main) == 1


def test_a_signal_lets_it_clean_up_and_is_0() -> None:
    cleaned: list[bool] = []

    async def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    assert run_component(main) == 0
    assert cleaned == [True]
