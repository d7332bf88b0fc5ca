"""Coroutines that run at once, and become tasks only when they have to wait; others that run beside.

Most reads wait for nothing: a task for each, and the turn of the event loop that starts it, would cost more
than some of the stops on their way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from functools import partial
from types import coroutine
from typing import Any

Work = Coroutine[Any, Any, None]


def run_at_once(loop: asyncio.AbstractEventLoop, work: Work) -> asyncio.Task[None] | None:
    """Run `work` until it ends or first waits; return the task that goes on with it, None when it has ended.

    Until it first waits there is no current task, which `asyncio.timeout` and task groups need: whatever uses
    them on a path that may be run at once awaits `in_task` before.
    """
    try:
        awaited = work.send(None)
    except StopIteration:
        return None
    return loop.create_task(_go_on(work, awaited))


async def _go_on(work: Work, awaited: Any) -> None:
    await _continued(work, awaited)


@coroutine
def _continued(work: Work, awaited: Any) -> Generator[Any, Any, None]:
    """Wait for what `work`, already started, waits for, and so on to its end."""
    while True:
        try:
            # What has come meanwhile is not waited for once more.
            done = isinstance(awaited, asyncio.Future) and awaited.done()
            answer = None if done else (yield awaited)
        except BaseException as error:
            go_on: Callable[[], Any] = partial(work.throw, error)
        else:
            go_on = partial(work.send, answer)
        try:
            awaited = go_on()
        except StopIteration:
            return


@coroutine
def in_task() -> Generator[None, None, None]:
    """Return inside a task: at once where there is one, else after a turn of the loop."""
    if asyncio.current_task() is None:
        yield


@asynccontextmanager
async def beside(*works: Work) -> AsyncIterator[None]:
    """Run `works`, which wait for ever, for as long as the body does; what one of them raises, ends both."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in works]
        yield
        for task in tasks:
            task.cancel()
