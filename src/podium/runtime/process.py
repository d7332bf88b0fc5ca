"""How a component's process lives: one event loop, a clean end on SIGTERM, exit code 1 on a crash."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

from podium.base.log import Log

_log = Log("podium.process")


def run_component(main: Callable[[], Awaitable[None]]) -> int:
    """Run `main` until it returns, or until SIGTERM or SIGINT cancels it; return the exit code.

    A signal, or a normal return, gives 0; an exception is logged and gives 1. `main` has its clean-up in
    `finally` clauses, which run before this returns.
    """
    _raise_file_limit()
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_guarded(main))
    except KeyboardInterrupt:
        return 0


def _raise_file_limit() -> None:
    """Allow as many open files as this process may have, as upstream's runtime does: each client is one."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # noqa: PLC0415 - not on Windows

        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _guarded(main: Callable[[], Awaitable[None]]) -> int:
    loop = asyncio.get_running_loop()
    task: asyncio.Future[None] = asyncio.ensure_future(_as_coroutine(main))
    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows' loop and threads other than the main one cannot; Ctrl-C is a KeyboardInterrupt there.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return 0
    except Exception:
        _log.exception("the component has failed")
        return 1
    return 0


async def _as_coroutine(main: Callable[[], Awaitable[None]]) -> None:
    await main()
