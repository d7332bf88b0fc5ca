"""StorageObjectInUseProtection: volumes, claims and classes of attributes carry finalizers while in use."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns
from podium.apiserver.chain import Attributes
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.storage.volumeattributesclasses import VOLUMEATTRIBUTESCLASSES

_FINALIZERS = (
    (PERSISTENTVOLUMES, "kubernetes.io/pv-protection"),
    (PERSISTENTVOLUMECLAIMS, "kubernetes.io/pvc-protection"),
    (VOLUMEATTRIBUTESCLASSES, "kubernetes.io/vac-protection"),
)


class StorageObjectInUseProtection(Plugin):
    name = "StorageObjectInUseProtection"
    resources = (PERSISTENTVOLUMES, PERSISTENTVOLUMECLAIMS, VOLUMEATTRIBUTESCLASSES)

    async def admit(self, attributes: Attributes) -> None:
        for resource, finalizer in _FINALIZERS:
            obj = concerns(attributes, resource, "CREATE")
            if obj is None:
                continue
            finalizers = obj["metadata"].get("finalizers") or []
            if finalizer not in finalizers:
                obj["metadata"]["finalizers"] = [*finalizers, finalizer]
