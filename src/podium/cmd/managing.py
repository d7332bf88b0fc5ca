"""What the programs that run controllers have in common."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

from podium.runtime.controller import Environment
from podium.runtime.health import Checks
from podium.runtime.metrics import RunningMetrics


class Runnable(Protocol):
    """A controller, or anything that runs like one."""

    @property
    def name(self) -> str: ...

    async def run(self, environment: Environment) -> None:
        """Run until cancelled."""
        ...


async def run_controllers(
    controllers: Sequence[Runnable],
    environment: Environment,
    *,
    checks: Checks,
    running: RunningMetrics,
    interval_s: float = 0.0,
) -> None:
    """Run the controllers until cancelled. Each starts after `interval_s`, up to twice that."""

    async def run(controller: Runnable) -> None:
        if interval_s:
            await environment.clock.sleep(interval_s * random.uniform(1, 2))
        with running.noting(controller.name):
            await controller.run(environment)

    async with asyncio.TaskGroup() as group:
        for controller in controllers:
            checks.add(controller.name)
            group.create_task(run(controller), name=controller.name)
        # Started last: by then every controller has named its caches and their indexes.
        group.create_task(environment.informers.run())
