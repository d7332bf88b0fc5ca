"""OCI images as values: a layer from files, a configuration, and one tar archive that any runtime imports.

The same content gives the same bytes, hence the same digest: entries are sorted and carry no time, owner or
host name. Upstream of the format: the OCI image specification, image layout version 1.0.0.
"""

from __future__ import annotations

import hashlib
import io
import platform
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_MEDIA = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One entry of a layer: a regular file with `content`, or a symbolic link to `link`."""

    content: bytes = b""
    mode: int = 0o644
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a container of the image runs unless its pod says otherwise."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    user: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def host_architecture() -> str:
    """Return this machine's architecture as OCI names it."""
    machine = platform.machine().lower()
    return _ARCHITECTURES.get(machine, machine)


def canonical_name(name: str) -> str:
    """Return an image name as runtimes know it: `hello` is `docker.io/library/hello:latest`."""
    head, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in head and ":" not in head and head != "localhost":
        name = f"docker.io/{name}"
    last = name.rpartition("/")[2]
    return name if ":" in last or "@" in last else f"{name}:latest"


def files_below(directory: Path, at: str = "/") -> dict[str, File]:
    """Return every file and link below `directory` as it should appear under the image path `at`.

    Raises OSError when something cannot be read; devices, sockets and pipes are left out.
    """
    found: dict[str, File] = {}
    for path in sorted(directory.rglob("*")):
        name = str(Path(at) / path.relative_to(directory))
        if path.is_symlink():
            found[name] = File(link=str(path.readlink()))
        elif path.is_file():
            found[name] = File(content=path.read_bytes(), mode=path.stat().st_mode & 0o7777)
    return found


def image_archive(
    name: str, files: Mapping[str, File], config: Config, *, architecture: str | None = None
) -> bytes:
    """Return a tar archive in OCI image layout holding one image of one layer under `name`."""
    architecture = architecture or host_architecture()
    layer = _layer(files)
    layer_digest = _digest(layer)
    configuration = orjson.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": _runtime_config(config),
            "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        }
    )
    manifest = orjson.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _descriptor(f"{_MEDIA}.config.v1+json", configuration),
            "layers": [_descriptor(f"{_MEDIA}.layer.v1.tar", layer)],
        }
    )
    full_name = canonical_name(name)
    described = _descriptor(f"{_MEDIA}.manifest.v1+json", manifest)
    described["platform"] = {"architecture": architecture, "os": "linux"}
    described["annotations"] = {
        "io.containerd.image.name": full_name,
        "org.opencontainers.image.ref.name": full_name,
    }
    index = orjson.dumps(
        {"schemaVersion": 2, "mediaType": f"{_MEDIA}.index.v1+json", "manifests": [described]}
    )
    archive = {
        "/oci-layout": File(content=b'{"imageLayoutVersion":"1.0.0"}'),
        "/index.json": File(content=index),
    }
    for blob in (layer, configuration, manifest):
        archive["/blobs/" + _digest(blob).replace(":", "/")] = File(content=blob)
    return _layer(archive)


def _runtime_config(config: Config) -> dict[str, Any]:
    return {
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.command),
        "Env": [f"{key}={value}" for key, value in config.env.items()],
        "WorkingDir": config.working_dir,
        "User": config.user,
        "Labels": dict(config.labels),
    }


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _layer(files: Mapping[str, File]) -> bytes:
    """Return a tar archive of `files` (absolute paths), with the directories they need, in sorted order."""
    directories = {str(parent) for path in files for parent in Path(path).parents if str(parent) != "/"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(directories | files.keys()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            file = files.get(path)
            if file is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if path == "/tmp" else 0o755
                tar.addfile(entry)
            elif file.link:
                entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, file.link, 0o777
                tar.addfile(entry)
            else:
                entry.mode, entry.size = file.mode, len(file.content)
                tar.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()
