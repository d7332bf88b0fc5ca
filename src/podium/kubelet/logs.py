"""Container logs: files of lines in CRI's format, which containerd writes and the kubelet serves.

2026-11-23T08:30:00.123456789Z stdout F the line
2026-11-23T08:30:00.123456789Z stderr P a part of a line that goes on in the next record
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MESSAGE_BYTES_MAX = 4096
"""The longest termination message."""
LOG_MESSAGE_BYTES_MAX = 2048
LOG_MESSAGE_LINES_MAX = 80
BLOCK_BYTES = 64 * 1024


def termination_message(path: Path, log: Path | None) -> str:
    """Return what a container left at its terminationMessagePath, else the end of its log, if given."""
    try:
        with path.open("rb") as file:
            text = file.read(MESSAGE_BYTES_MAX).decode(errors="replace")
    except OSError:
        text = ""
    if text or log is None:
        return text
    try:
        start = tail_offset(log, LOG_MESSAGE_LINES_MAX)
        with log.open("rb") as file:
            file.seek(start)
            lines = file.read().splitlines(keepends=True)
    except OSError:
        return ""
    content = b"".join(record.content for line in lines if (record := parse(line)))
    return content[-LOG_MESSAGE_BYTES_MAX:].decode(errors="replace")


def remove(log: Path) -> None:
    """Delete a log with its rotated parts."""
    for path in log.parent.glob(log.name + "*"):
        path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Record:
    time: bytes
    stream: bytes
    content: bytes
    """With its newline, unless the record is a part of a line."""


def parse(line: bytes) -> Record | None:
    """Return one record, None for what is not in CRI's format."""
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return None
    time, stream, tags, content = parts
    if tags.split(b":")[0] == b"P":
        content = content.removesuffix(b"\n")
    return Record(time, stream, content)


def tail_offset(log: Path, lines: int) -> int:
    """Return the offset of the last `lines` whole lines, counting a line in parts once."""
    size = log.stat().st_size
    if lines <= 0:
        return size
    with log.open("rb") as file:
        position, found = size, 0
        held = b""
        while position > 0:
            start = max(0, position - BLOCK_BYTES)
            file.seek(start)
            held = file.read(position - start) + held
            position = start
            begins = _line_starts(held, at_start=position == 0)
            full = [begin for begin in begins if _is_full_end(held, begin)]
            found = len(full)
            if found > lines or position == 0:
                if found <= lines:
                    return 0
                # The record after the last line that is not wanted.
                end = held.index(b"\n", full[-lines - 1]) + 1
                return position + end
    return 0


def _line_starts(block: bytes, *, at_start: bool) -> list[int]:
    starts = [0] if at_start and block else []
    index = block.find(b"\n")
    while index >= 0 and index + 1 < len(block):
        starts.append(index + 1)
        index = block.find(b"\n", index + 1)
    return starts


def _is_full_end(block: bytes, start: int) -> bool:
    """Say whether the record at `start` ends a line (tag F)."""
    end = block.find(b"\n", start)
    parts = block[start : end if end >= 0 else len(block)].split(b" ", 3)
    return len(parts) >= 3 and parts[2].split(b":")[0] == b"F"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What a reader asked for; upstream's PodLogOptions."""

    follow: bool = False
    tail_lines: int | None = None
    since: datetime | None = None
    timestamps: bool = False
    limit_bytes: int | None = None
    stream: str = "All"


async def read_log(log: Path, options: LogOptions, *, running: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield the log's content in pieces; with `follow`, until the container has stopped and all is read.

    A file that is rotated away under the reader (renamed, a new one in its place) is read to its end first.
    Raises OSError when there is no log.
    """
    left = options.limit_bytes
    since = options.since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S").encode() if options.since else b""
    watch = _Inotify(log.parent) if options.follow else None
    file = log.open("rb")
    try:
        file.seek(tail_offset(log, options.tail_lines) if options.tail_lines is not None else 0)
        rest = b""
        line_open = False
        while True:
            # Ask before reading: what is written after the end of reading but before the question
            # would be lost otherwise.
            alive = options.follow and running()
            block = (
                await asyncio.to_thread(file.read, BLOCK_BYTES) if options.follow else file.read(BLOCK_BYTES)
            )
            if block:
                lines = (rest + block).split(b"\n")
                rest = lines.pop()
                pieces = []
                for line in lines:
                    record = parse(line + b"\n")
                    if record is None or record.time < since or not _wanted(record, options.stream):
                        continue
                    if options.timestamps and not line_open:
                        pieces.append(record.time + b" ")
                    line_open = not record.content.endswith(b"\n")
                    pieces.append(record.content)
                output = b"".join(pieces)
                if left is not None:
                    output = output[:left]
                    left -= len(output)
                if output:
                    yield output
                if left == 0:
                    return
                continue
            if options.follow and _rotated(file.fileno(), log):
                file.close()
                file = log.open("rb")
                rest = b""
                continue
            if not alive:
                return
            assert watch is not None
            await watch.changed()
    finally:
        file.close()
        if watch is not None:
            watch.close()


def _wanted(record: Record, stream: str) -> bool:
    return stream == "All" or record.stream.decode() == stream.lower()


def _rotated(handle: int, log: Path) -> bool:
    try:
        return log.stat().st_ino != os.fstat(handle).st_ino
    except OSError:
        return False


IN_MODIFY, IN_CREATE, IN_MOVED_TO = 0x2, 0x100, 0x80
FOLLOW_WAIT_S_MAX = 1.0
"""How long a follower sleeps at most: a container's end does not change its log."""


class _Inotify:
    """Wakes when a file in a folder changes, by inotify."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._handle: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._event = asyncio.Event()
        if self._handle >= 0:
            libc.inotify_add_watch(self._handle, os.fsencode(folder), IN_MODIFY | IN_CREATE | IN_MOVED_TO)
            asyncio.get_running_loop().add_reader(self._handle, self._readable)

    def _readable(self) -> None:
        try:
            os.read(self._handle, 4096)
        except BlockingIOError:
            return
        self._event.set()

    async def changed(self) -> None:
        """Return after a change, or after a second."""
        try:
            async with asyncio.timeout(FOLLOW_WAIT_S_MAX):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()

    def close(self) -> None:
        if self._handle >= 0:
            asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1
