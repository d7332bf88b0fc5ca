"""VolumeAttachment, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

VOLUMEATTACHMENTS = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="VolumeAttachment",
    plural="volumeattachments",
    namespaced=False,
    schema="io.k8s.api.storage.v1.VolumeAttachment",
    status=True,
)
