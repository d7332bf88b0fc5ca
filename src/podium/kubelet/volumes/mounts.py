"""Mounting and unmounting by system call; blocking, so called in a worker thread."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

MS_NOSUID = 2
MS_NODEV = 4
MS_BIND = 4096
MS_REC = 16384
MNT_DETACH = 2


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError."""
    result = _libc().mount(
        os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, options.encode() or None
    )
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind or 'bind'}: {os.strerror(number)}", target)


def unmount(target: str) -> None:
    """Unmount, lazily when busy; a path that is no mount point is no error."""
    if _libc().umount2(os.fsencode(target), MNT_DETACH) != 0:
        number = ctypes.get_errno()
        if number not in (22, 2):  # EINVAL, ENOENT
            raise OSError(number, f"unmount: {os.strerror(number)}", target)


def mount_tmpfs(target: Path, *, size_bytes: int = 0) -> None:
    """Mount a tmpfs at `target` unless something is mounted there already."""
    if is_mount(target):
        return
    options = f"size={size_bytes}" if size_bytes else ""
    mount("tmpfs", str(target), "tmpfs", 0, options)


def is_mount(path: Path) -> bool:
    return str(path.resolve()) in set(mount_points())


def mount_points() -> list[str]:
    """Return every mount point of this process's namespace, in the order of mounting."""
    points = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        # Spaces and the like are written as octal escapes.
        points.append(line.split(" ")[4].encode().decode("unicode_escape"))
    return points


def unmount_below(folder: Path) -> None:
    """Unmount everything at or below `folder`, the last mounted first."""
    base = str(folder.resolve())
    for point in reversed(mount_points()):
        if point == base or point.startswith(base + "/"):
            unmount(point)
