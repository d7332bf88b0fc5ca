"""emptyDir: a folder (or a tmpfs) that lives as long as its pod."""

from __future__ import annotations

import os
from pathlib import Path

from podium.kubelet.pods import value
from podium.kubelet.volumes.mounts import mount_tmpfs
from podium.machinery.errors import Object


def set_up(source: Object, folder: Path, *, gid: int | None) -> None:
    """Make the folder; anyone in the pod may write to it. With medium Memory it is a tmpfs."""
    folder.mkdir(mode=0o777, parents=True, exist_ok=True)
    if source.get("medium") == "Memory":
        limit = source.get("sizeLimit")
        mount_tmpfs(folder, size_bytes=value(str(limit)) if limit else 0)
    folder.chmod(0o777)
    own(folder, gid)


def own(folder: Path, gid: int | None) -> None:
    """Give the folder to a group, which what is made in it inherits."""
    if gid is None:
        return
    os.chown(folder, -1, gid)
    folder.chmod(folder.stat().st_mode & 0o7777 | 0o2770)
