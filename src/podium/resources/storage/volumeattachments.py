"""VolumeAttachment, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, child
from podium.resources.printing import AGE, NAME, column
from podium.resources.printing import spec as spec_of
from podium.resources.printing import status as status_of


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
    metadata_again=1,
    compares_metadata=False,
    status_metadata_again=1,
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Attacher", lambda obj: spec_of(obj).get("attacher") or "", format="name"),
        column("PV", lambda obj: (spec_of(obj).get("source") or {}).get("persistentVolumeName") or ""),
        column("Node", lambda obj: spec_of(obj).get("nodeName") or ""),
        column("Attached", lambda obj: bool(status_of(obj).get("attached")), type="boolean"),
        AGE,
    ),
    delete_returns_object=True,
    unconditional_update=False,
    validate=deferred.check("storage.validation", "validate_attachment"),
    validate_update=deferred.update_check("storage.validation", "validate_attachment_update"),
    validate_status_update=deferred.update_check("storage.validation", "validate_attachment_update"),
)
