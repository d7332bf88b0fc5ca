"""The provisioner of host paths: directories below /tmp of the machine that the controllers run on.

For development on one machine, as upstream's: pkg/volume/host_path. Any other provisioner can be written
after it.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

from podium.controllers.volume_provisioning import ProvisionerError, VolumeRequest
from podium.machinery import meta
from podium.machinery.errors import Object

NAME = "kubernetes.io/host-path"
DELETABLE = re.compile(r"/tmp/.+")


class HostPathProvisioner:
    name = NAME

    def __init__(self, *, enabled: bool, directory: Path = Path("/tmp/hostpath_pv")) -> None:
        """`enabled`: make volumes; deleting them works in any case."""
        self._enabled = enabled
        self._directory = directory

    async def provision(self, request: VolumeRequest) -> Object:
        if not self._enabled:
            raise ProvisionerError(f'provisioning in volume plugin "{NAME}" is disabled')
        spec = request.claim["spec"]
        if spec.get("volumeMode") == "Block":
            raise ProvisionerError(f"{NAME} does not support block volume provisioning")
        if request.storage_class.get("mountOptions"):
            raise ProvisionerError(f'provisioner "{NAME}" doesn\'t support mount options')
        path = self._directory / request.name
        try:
            path.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise ProvisionerError(f"mkdir {path}: {error.strerror}") from error
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"annotations": {"kubernetes.io/createdby": "hostpath-dynamic-provisioner"}},
            "spec": {
                "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "hostPath": {"path": str(path)},
            },
        }

    def owns(self, volume: Object) -> bool:
        return meta.dig(volume, "spec", "hostPath") is not None

    async def delete(self, volume: Object) -> None:
        path = str(meta.dig(volume, "spec", "hostPath", "path") or "")
        if not DELETABLE.fullmatch(path) or ".." in Path(path).parts:
            raise ProvisionerError(f"host_path deleter only supports /tmp/.+ but received provided {path}")
        try:
            await asyncio.to_thread(_remove, Path(path))
        except OSError as error:
            raise ProvisionerError(f"unlinkat {path}: {error.strerror}") from error


def _remove(path: Path) -> None:
    """Remove a directory with all in it, or a file; a link goes, and what it points to stays."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
