"""A part of a volume, mounted so that a container cannot trick the kubelet into showing more than that part.

A container may write to the volume, so it could replace a folder by a symbolic link to the host's / between
our check and the runtime's mount. Hence the part is opened step by step without following links, and what
was opened, not its name, is bind-mounted to a place that no container can write to.
"""

from __future__ import annotations

import os
from pathlib import Path

from podium.kubelet.volumes.mounts import MS_BIND, MS_REC, is_mount, mount, unmount


def bind_subpath(volume: Path, subpath: str, place: Path, *, gid: int | None = None) -> Path:
    """Bind-mount `volume/subpath` at `place` and return `place`. A missing folder is created.

    Raises OSError when the part leaves the volume. Links inside the volume (as the atomic writer makes
    them) are followed.
    """
    if place.exists() and is_mount(place):
        # Of an earlier container, and perhaps of a file that was replaced since.
        unmount(str(place))
        _remove(place)
    base = volume.resolve()
    wanted = base / subpath
    if not wanted.exists() and not wanted.is_symlink():
        wanted.mkdir(mode=0o750, parents=True)
        wanted.chmod(0o2770 if gid is not None else 0o755)
        if gid is not None:
            os.chown(wanted, -1, gid)
    resolved = wanted.resolve(strict=True)
    if resolved != base and base not in resolved.parents:
        raise OSError(f'subpath "{subpath}" not within volume path')
    handle = _open_without_links(base, resolved.relative_to(base))
    try:
        place.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if resolved.is_dir():
            place.mkdir(mode=0o750, exist_ok=True)
        else:
            place.touch()
        mount(f"/proc/self/fd/{handle}", str(place), "", MS_BIND | MS_REC)
    finally:
        os.close(handle)
    return place


def _remove(place: Path) -> None:
    if place.is_dir():
        place.rmdir()
    else:
        place.unlink()


def _open_without_links(base: Path, relative: Path) -> int:
    handle = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in relative.parts:
        try:
            below = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
        finally:
            os.close(handle)
        handle = below
    return handle
