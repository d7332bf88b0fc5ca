"""PersistentVolume, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.core import volumes
from podium.resources.defaulting import absent, blank, child, drop_zero, given
from podium.resources.printing import AGE, NAME, UNSET, access_modes_text, column, deleting, quantity_text
from podium.resources.printing import spec as spec_of
from podium.resources.printing import status as status_of


def _defaults(volume: Object) -> None:
    spec = child(volume, "spec")
    blank(child(volume, "status"), "phase", "Pending")
    blank(spec, "persistentVolumeReclaimPolicy", "Retain")
    absent(spec, "volumeMode", "Filesystem")
    drop_zero(spec, "storageClassName", "mountOptions")
    volumes.default_source(spec)


def _prepare_create(volume: Object) -> None:
    status: Object = {"phase": "Pending"}
    created = (given(volume, "metadata") or {}).get("creationTimestamp")
    if created:
        status["lastPhaseTransitionTime"] = created
    volume["status"] = status


CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def _claim(volume: Object) -> str:
    claim = given(spec_of(volume), "claimRef")
    return f"{claim.get('namespace') or ''}/{claim.get('name') or ''}" if claim is not None else ""


def storage_class(obj: Object) -> str:
    """Return the storage class of a volume or a claim: an old annotation goes before the field."""
    annotations = (given(obj, "metadata") or {}).get("annotations") or {}
    if CLASS_ANNOTATION in annotations:
        return str(annotations[CLASS_ANNOTATION])
    return str(spec_of(obj).get("storageClassName") or "")


def phase(obj: Object) -> str:
    """Return the phase of a volume or a claim."""
    return "Terminating" if deleting(obj) else str(status_of(obj).get("phase") or "")


PERSISTENTVOLUMES = Resource(
    version="v1",
    kind="PersistentVolume",
    plural="persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    schema="io.k8s.api.core.v1.PersistentVolume",
    metadata_again=2,
    compares_metadata=False,
    while_off={
        "MutablePVNodeAffinity": deferred.gate_check("core.storage_validation", "same_node_affinity"),
    },
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Capacity", lambda obj: quantity_text((spec_of(obj).get("capacity") or {}).get("storage"))),
        column("Access Modes", lambda obj: access_modes_text(spec_of(obj).get("accessModes"))),
        column("Reclaim Policy", lambda obj: spec_of(obj).get("persistentVolumeReclaimPolicy") or ""),
        column("Status", phase),
        column("Claim", _claim),
        column("StorageClass", storage_class),
        column("VolumeAttributesClass", lambda obj: spec_of(obj).get("volumeAttributesClassName") or UNSET),
        column("Reason", lambda obj: status_of(obj).get("reason") or ""),
        AGE,
        column("VolumeMode", lambda obj: spec_of(obj).get("volumeMode") or UNSET, wide=True),
    ),
    delete_returns_object=True,
    warnings=deferred.warnings("core.warnings", "volume_warnings"),
    validate=deferred.check("core.storage_validation", "validate_volume"),
    validate_update=deferred.update_check("core.storage_validation", "validate_volume_update"),
)
