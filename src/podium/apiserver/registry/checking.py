"""Checks that take long run in a thread, so that nobody else waits for them.

Rules of custom resources may go through a million steps each: a second or more in Python. A thread shares the
interpreter, but gives it up every few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from podium.base.tasks import in_task
from podium.machinery.resource import Resource


async def checked(storage: Resource, check: Callable[[], None]) -> None:
    """Run the checks of an object. They work on it alone, and raise what is wrong."""
    if not storage.checks_in_thread:
        check()
        return
    await in_task()
    await asyncio.to_thread(check)
