"""Files that somebody replaces while a program runs: configuration, keys, certificates.

A file is looked at once in a while: `stat` costs microseconds, works on every file system (the symbolic links
of a mounted ConfigMap, network mounts) and needs no thread and no library.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from podium.base.clock import Clock
from podium.base.log import Log

INTERVAL_S = 1.0

_log = Log("podium.files")

Stamp = tuple[tuple[int, int, int] | None, ...]


def stamp(paths: Sequence[str]) -> Stamp:
    """Return what tells a change of these files from before: who they are, how long, and of when."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


async def follow(
    paths: Sequence[str],
    changed: Callable[[], Awaitable[bool]],
    *,
    clock: Clock,
    seen: Stamp | None = None,
    interval_s: float = INTERVAL_S,
) -> None:
    """Call `changed` after each change of one of the files, for ever.

    It returns whether it is done with the change; otherwise it is called again after an interval. `seen` is
    the stamp from before the files were first read, so that no change falls in between. What it raises is
    logged: a program that has been running for weeks does not end because somebody edits a file.
    """
    seen = stamp(paths) if seen is None else seen
    while True:
        await clock.sleep(interval_s)
        now = stamp(paths)
        if now == seen:
            continue
        try:
            settled = await changed()
        except Exception:
            _log.exception("a changed file could not be taken", files=" ".join(paths))
            settled = True
        if settled:
            seen = now
