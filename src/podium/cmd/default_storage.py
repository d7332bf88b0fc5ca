"""The storage class of `podium up`: a claim that names no class gets a directory of this machine."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from podium.client.client import Client
from podium.controllers.local_path_provisioner import NAME as PROVISIONER
from podium.machinery.errors import AlreadyExists, Object
from podium.resources.storage.storageclasses import STORAGECLASSES, is_default

STANDARD: Object = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}


async def ensure(client: Client, marker: Path) -> None:
    """Make the class once in a cluster's life, as `marker` tells: whoever deletes it does not want it."""
    if await asyncio.to_thread(marker.exists):
        return
    classes = (await client.list(STORAGECLASSES))["items"]
    if not any(is_default(cls) for cls in classes):
        with contextlib.suppress(AlreadyExists):  # somebody's own, of that name
            await client.create(STORAGECLASSES, STANDARD)
    await asyncio.to_thread(marker.touch)
