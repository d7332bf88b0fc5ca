"""PersistentVolume, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core import volumes
from podium.resources.defaulting import absent, blank, child, drop_zero, given


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


PERSISTENTVOLUMES = Resource(
    version="v1",
    kind="PersistentVolume",
    plural="persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    schema="io.k8s.api.core.v1.PersistentVolume",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
)
