"""Volumes in one file: directories of an NFS export that is mounted on the machine of the controller manager.

    PYTHONPATH=examples/extending kube-controller-manager --kubeconfig=… \
        --volume-provisioner=nfs_storage:make,server=nas.example.com,export=/volumes,mounted=/mnt/volumes

and a StorageClass with `provisioner: example.com/nfs`.
"""

import shutil
from pathlib import Path

from podium.controllers.volume_provisioning import ProvisionerError


def make(options):
    missing = {"server", "export", "mounted"} - set(options)
    if missing:
        raise ValueError(f"options are missing: {', '.join(sorted(missing))}")
    return NfsStorage(options["server"], options["export"], Path(options["mounted"]))


class NfsStorage:
    name = "example.com/nfs"

    def __init__(self, server, export, mounted):
        self.server, self.export, self.mounted = server, export, mounted

    async def provision(self, request):
        try:
            (self.mounted / request.name).mkdir(exist_ok=True)
        except OSError as error:
            raise ProvisionerError(f"no directory for {request.name}: {error.strerror}") from error
        claim = request.claim["spec"]
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {},
            "spec": {
                "accessModes": claim["accessModes"],
                "capacity": {"storage": claim["resources"]["requests"]["storage"]},
                "nfs": {"server": self.server, "path": f"{self.export}/{request.name}"},
            },
        }

    def owns(self, volume):
        return False

    async def delete(self, volume):
        shutil.rmtree(self.mounted / volume["metadata"]["name"], ignore_errors=True)
