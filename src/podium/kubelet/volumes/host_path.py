"""hostPath: a path of the node itself, checked (or made) by its type."""

from __future__ import annotations

from pathlib import Path

from podium.kubelet.environment import ConfigFault
from podium.machinery.errors import Object


def host_path(source: Object) -> str:
    """Return the node's path, after making it where the type says so. Raises ConfigFault."""
    path, kind = Path(str(source["path"])), str(source.get("type") or "")
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(mode=0o755, parents=True)
    elif kind == "FileOrCreate" and not path.exists():
        path.touch(mode=0o644)
    checks = {
        "Directory": (path.is_dir, "directory"),
        "DirectoryOrCreate": (path.is_dir, "directory"),
        "File": (path.is_file, "file"),
        "FileOrCreate": (path.is_file, "file"),
        "Socket": (path.is_socket, "socket file"),
        "CharDevice": (path.is_char_device, "character device"),
        "BlockDevice": (path.is_block_device, "block device"),
    }
    if kind in checks:
        check, word = checks[kind]
        if not check():
            raise ConfigFault(f"hostPath type check failed: {path} is not a {word}")
    return str(path)
