"""The audit log as a file that is rotated: old ones are named after the time, compressed, and removed.

Names, times and order are lumberjack's, which upstream uses: `audit.log` becomes
`audit-2026-03-01T12-00-00.000.log` in the same folder, with `.gz` behind it when it is compressed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from podium.base.clock import Clock
from podium.base.log import Log

MEGABYTE = 1024 * 1024
COMPRESSED = ".gz"
_MODE = 0o600
_FOLDER_MODE = 0o700
_TIME = "%Y-%m-%dT%H-%M-%S.%f"
_TIME_LENGTH = len("2026-03-01T12-00-00.000")

_log = Log("podium.apiserver.audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When a file is put away, and what is kept of those that were."""

    bytes_max: int = 100 * MEGABYTE
    """0: the file grows for ever."""
    age_max: timedelta = timedelta(days=366)
    """0: whatever their age."""
    backups_max: int = 100
    """0: however many."""
    compress: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Backup:
    """A file that was put away."""

    moment: datetime
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidying:
    """What is to be done about them."""

    remove: Sequence[str] = ()
    compress: Sequence[str] = ()


class LogFile:
    """Appends lines to one file. Tidying up what was put away happens in a thread."""

    def __init__(self, path: Path, rotation: Rotation, clock: Clock) -> None:
        """Raises OSError when the file can be neither made nor appended to."""
        ensure(path)
        self._path = path
        self._rotation = rotation
        self._clock = clock
        self._fd = _opened(path)
        self._size = os.fstat(self._fd).st_size
        self._tidying: asyncio.Task[None] | None = None
        self._tidy_again = False

    async def write(self, line: bytes) -> None:
        limit = self._rotation.bytes_max
        if limit and len(line) > limit:
            raise OSError(f"write length {len(line)} exceeds maximum file size {limit}")
        if limit and self._size + len(line) > limit:
            self._rotate()
        self._size += _written(self._fd, line)

    async def close(self) -> None:
        if self._tidying is not None:
            await asyncio.gather(self._tidying, return_exceptions=True)
        os.close(self._fd)

    def _rotate(self) -> None:
        os.close(self._fd)
        mode = _MODE
        try:
            with contextlib.suppress(FileNotFoundError):
                mode = self._path.stat().st_mode & 0o777
                self._path.rename(self._free_name())
        finally:
            self._fd = _opened(self._path, mode)
            self._size = os.fstat(self._fd).st_size
        self._tidy()

    def _free_name(self) -> Path:
        """Return the name to put the file away under; two of one millisecond must not meet."""
        moment = self._clock.now()
        while True:
            path = self._path.with_name(backup_name(self._path.name, moment))
            if not path.exists() and not path.with_name(path.name + COMPRESSED).exists():
                return path
            moment += timedelta(milliseconds=1)

    def _tidy(self) -> None:
        if self._tidying is not None and not self._tidying.done():
            self._tidy_again = True
            return
        self._tidying = asyncio.create_task(self._tidied(), name="audit-log-tidying")

    async def _tidied(self) -> None:
        self._tidy_again = True
        while self._tidy_again:
            self._tidy_again = False
            await asyncio.to_thread(_tidy_up, self._path, self._rotation, self._clock.now())


def ensure(path: Path) -> None:
    """Make the file and its folder, for their owner alone, where they are missing. Raises OSError."""
    path.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    os.close(_opened(path))


def backup_name(name: str, moment: datetime) -> str:
    """Return what a file is called that was put away at a moment. Pure."""
    stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a name such as `.log` is all suffix, as in Go
    if not suffix and stem.startswith("."):
        stem, suffix = "", stem
    return f"{stem}-{moment.astimezone(UTC).strftime(_TIME)[:_TIME_LENGTH]}{suffix}"


def backups(name: str, found: Iterable[str]) -> Iterator[Backup]:
    """Yield those of the names in a folder that are backups of the file `name`. Pure."""
    head, tail = backup_name(name, datetime.fromtimestamp(0, UTC)).split("1970-01-01T00-00-00.000")
    for one in found:
        for end in (tail, tail + COMPRESSED):
            text = one[len(head) : -len(end)] if end else one[len(head) :]
            if one.startswith(head) and one.endswith(end) and len(text) == _TIME_LENGTH:
                with contextlib.suppress(ValueError):
                    yield Backup(datetime.strptime(text, _TIME).replace(tzinfo=UTC), one)
                    break


def plan(kept: Iterable[Backup], rotation: Rotation, now: datetime) -> Tidying:
    """Return what is to be done about the backups there are. Pure."""
    ordered = sorted(kept, reverse=True)
    remove: list[str] = []
    if rotation.backups_max:
        names: set[str] = set()
        within = []
        for one in ordered:
            # One that is being compressed is there twice.
            names.add(one.name.removesuffix(COMPRESSED))
            if len(names) > rotation.backups_max:
                remove.append(one.name)
            else:
                within.append(one)
        ordered = within
    if rotation.age_max:
        oldest = now - rotation.age_max
        remove += [one.name for one in ordered if one.moment < oldest]
        ordered = [one for one in ordered if one.moment >= oldest]
    compress = [one.name for one in ordered if rotation.compress and not one.name.endswith(COMPRESSED)]
    return Tidying(remove=remove, compress=compress)


def _tidy_up(path: Path, rotation: Rotation, now: datetime) -> None:
    try:
        folder = path.parent
        found = backups(path.name, [one.name for one in folder.iterdir()])
        planned = plan(found, rotation, now)
        for name in planned.remove:
            (folder / name).unlink(missing_ok=True)
        for name in planned.compress:
            _compress(folder / name)
    except OSError as error:
        _log.error("old audit logs cannot be tidied up", path=path, why=error)


def _compress(path: Path) -> None:
    target = path.with_name(path.name + COMPRESSED)
    with path.open("rb") as source, os.fdopen(_opened(target, path.stat().st_mode & 0o777), "wb") as sink:
        os.ftruncate(sink.fileno(), 0)
        with gzip.GzipFile(filename="", fileobj=sink, mode="wb") as packed:
            shutil.copyfileobj(source, packed)
    path.unlink()


def _opened(path: Path, mode: int = _MODE) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), mode)


def _written(fd: int, line: bytes) -> int:
    """Write all of `line`. A disk that fills up may take a part."""
    written = os.write(fd, line)
    while written < len(line):
        written += os.write(fd, line[written:])
    return written
