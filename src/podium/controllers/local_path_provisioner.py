"""Volumes that are directories of this machine, each under one that the command line names.

For clusters whose nodes share the machine, as those of `podium up` do: any node can use any volume, so a pod
finds its data again wherever it comes to run. Anybody may write to a volume, as nobody knows yet under which
user the pod will.

    --volume-provisioner=local-path,directory=/var/lib/volumes
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

from podium.controllers.volume_provisioning import ProvisionerError, VolumeRequest
from podium.machinery import meta
from podium.machinery.errors import Object

NAME = "podium.io/local-path"
MODE = 0o777


def local_path(options: Mapping[str, str]) -> LocalPath:
    """Return the provisioner. Raises ValueError."""
    directory = Path(options.get("directory", ""))
    if set(options) != {"directory"} or not directory.is_absolute():
        raise ValueError("local-path takes one option, directory=PATH, the absolute path of a directory")
    return LocalPath(directory)


class LocalPath:
    name = NAME

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def provision(self, request: VolumeRequest) -> Object:
        spec = request.claim["spec"]
        if spec.get("volumeMode") == "Block":
            raise ProvisionerError(f"{NAME} does not support block volume provisioning")
        if request.storage_class.get("mountOptions"):
            raise ProvisionerError(f'provisioner "{NAME}" doesn\'t support mount options')
        path = self._directory / request.name
        try:
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(MODE)  # mkdir heeds the umask
        except OSError as error:
            raise ProvisionerError(f"mkdir {path}: {error.strerror}") from error
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {},
            "spec": {
                "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "hostPath": {"path": str(path), "type": "Directory"},
            },
        }

    def owns(self, volume: Object) -> bool:
        return False

    async def delete(self, volume: Object) -> None:
        path = Path(str(meta.dig(volume, "spec", "hostPath", "path") or ""))
        if path.parent != self._directory or path.name != meta.name(volume):
            raise ProvisionerError(f"{path} is not the volume's directory in {self._directory}")
        try:
            await asyncio.to_thread(_remove, path)
        except OSError as error:
            raise ProvisionerError(f"unlinkat {path}: {error.strerror}") from error


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
