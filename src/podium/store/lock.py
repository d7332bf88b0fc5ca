"""A lock on a file, held by one process at a time and dropped by the operating system when it dies.

SQLite's own locks cannot say "somebody else owns this store": in WAL mode two processes may write in turns,
and each would number its changes without knowing of the other's.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from podium.store.protocol import StoreError


class FileLock:
    """Exclusive ownership of `path`, from construction until `release`.

    Raises `StoreError`, naming the owner's pid where it is known, when another owner holds it.
    The file stays behind after release: removing it would let two owners lock two different files.
    """

    def __init__(self, path: Path, *, what: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(self._descriptor)
        except OSError as error:
            owner = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            by = f"process {owner}" if owner else "another process"
            raise StoreError(f"{what} is in use by {by} (lock file {path})") from error
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give up the lock. May be called again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE_OFFSET = 1 << 30
    """Windows locks byte ranges against reading too; this byte is far behind the pid."""

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE_OFFSET, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
