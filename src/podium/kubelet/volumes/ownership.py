"""What a pod's fsGroup means for volumes that other pods have written to before."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_RW = 0o660
_FOLDER = 0o2110
"""May be entered, and hands its group on."""


def give_to_group(top: Path, gid: int) -> None:
    """Give a folder and all in it to a group, which may read and write it. Links themselves, not what they
    lead to."""
    for folder, _, files in os.walk(top):
        _give(Path(folder), gid)
        for name in files:
            _give(Path(folder) / name, gid)


def _give(path: Path, gid: int) -> None:
    try:
        mode = path.lstat().st_mode
        os.lchown(path, -1, gid)
        if not stat.S_ISLNK(mode):
            path.chmod(stat.S_IMODE(mode) | _RW | (_FOLDER if stat.S_ISDIR(mode) else 0))
    except FileNotFoundError:
        return  # Somebody else at work there.
