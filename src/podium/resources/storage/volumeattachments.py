"""VolumeAttachment, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import absent, child


def _defaults(attachment: Object) -> None:
    child(child(attachment, "spec"), "source")
    absent(child(attachment, "status"), "attached", False)


def _prepare_create(attachment: Object) -> None:
    attachment["status"] = {"attached": False}


VOLUMEATTACHMENTS = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="VolumeAttachment",
    plural="volumeattachments",
    namespaced=False,
    schema="io.k8s.api.storage.v1.VolumeAttachment",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
)
