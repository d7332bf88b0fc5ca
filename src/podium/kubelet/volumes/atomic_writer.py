"""A directory of files that changes as a whole, laid out as upstream's so that programs that know it work.

    keys.txt   -> ..data/keys.txt
    ..data     -> ..2026_11_23_08_30_00.123456789
    ..2026_11_23_08_30_00.123456789/keys.txt

A reader sees the old files or the new ones, never a mixture: only the link `..data` changes, by rename.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DATA = "..data"
DATA_NEW = "..data_tmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One projected file. `uid` is the owner where it is not root."""

    content: bytes
    mode: int = 0o644
    uid: int | None = None


Payload = Mapping[str, File]
"""Files by their path relative to the volume; folders are implied."""


def write_payload(target: Path, payload: Payload, *, gid: int | None = None) -> bool:
    """Make `target` show exactly `payload`; return whether anything changed.

    With `gid`, files belong to that group, which may read them.
    """
    current = target / DATA
    if current.is_symlink() and _same(current, payload, gid):
        return False
    previous = (target / current.readlink()) if current.is_symlink() else None
    fresh = target / f"..{datetime.now(UTC):%Y_%m_%d_%H_%M_%S}.{secrets.randbelow(10**9):09d}"
    fresh.mkdir(mode=0o755)
    fresh.chmod(0o755)
    for path, file in payload.items():
        _write(fresh, path, file, gid)
    link = target / DATA_NEW
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.rename(target / DATA)
    _show(target, {path.split("/")[0] for path in payload})
    if previous is not None and previous != fresh:
        shutil.rmtree(previous, ignore_errors=True)
    return True


def _same(current: Path, payload: Payload, gid: int | None) -> bool:
    found: set[str] = set()
    base = current.resolve()
    for folder, _, names in os.walk(base):
        found |= {str((Path(folder) / name).relative_to(base)) for name in names}
    if found != set(payload):
        return False
    for path, file in payload.items():
        target = base / path
        if target.read_bytes() != file.content or target.stat().st_mode & 0o777 != _mode(file, gid):
            return False
    return True


def _mode(file: File, gid: int | None) -> int:
    return file.mode | 0o440 if gid is not None else file.mode


def _write(base: Path, path: str, file: File, gid: int | None) -> None:
    target = base / path
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    target.write_bytes(file.content)
    if gid is not None or file.uid is not None:
        os.chown(target, -1 if file.uid is None else file.uid, -1 if gid is None else gid)
    target.chmod(_mode(file, gid))


def _show(target: Path, names: set[str]) -> None:
    """Link each top-level name to its place in `..data`, and unlink the names that are gone."""
    for name in names:
        link = target / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for entry in target.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
