"""DefaultStorageClass and DefaultIngressClass: who names no class gets the one marked as the default."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused, spec_of
from podium.apiserver.chain import Attributes, Reader
from podium.machinery import meta
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.networking.ingressclasses import INGRESSCLASSES
from podium.resources.networking.ingresses import INGRESSES
from podium.resources.storage.storageclasses import STORAGECLASSES, newest_default

_STORAGE_BETA = "volume.beta.kubernetes.io/storage-class"
_INGRESS_DEFAULT = ("ingressclass.kubernetes.io/is-default-class",)
_INGRESS_BETA = "kubernetes.io/ingress.class"


class DefaultStorageClass(Plugin):
    name = "DefaultStorageClass"
    resources = (PERSISTENTVOLUMECLAIMS,)

    def __init__(self, reader: Reader) -> None:
        self._classes = reader.cached(STORAGECLASSES)

    async def admit(self, attributes: Attributes) -> None:
        claim = concerns(attributes, PERSISTENTVOLUMECLAIMS, "CREATE")
        if claim is None or _STORAGE_BETA in meta.annotations(claim):
            return
        # An empty name is a wish too: for a volume without a class.
        if spec_of(claim).get("storageClassName") is not None:
            return
        default = newest_default(self._classes.list())
        if default is not None:
            spec_of(claim)["storageClassName"] = meta.name(default)


class DefaultIngressClass(Plugin):
    name = "DefaultIngressClass"
    resources = (INGRESSES,)

    def __init__(self, reader: Reader) -> None:
        self._classes = reader.cached(INGRESSCLASSES)

    async def admit(self, attributes: Attributes) -> None:
        ingress = concerns(attributes, INGRESSES, "CREATE")
        if ingress is None or _INGRESS_BETA in meta.annotations(ingress):
            return
        spec = spec_of(ingress)
        if spec.get("ingressClassName") is not None:
            return
        default = newest_default(self._classes.list(), _INGRESS_DEFAULT)
        if default is not None:
            spec["ingressClassName"] = meta.name(default)


class PersistentVolumeClaimResize(Plugin):
    """A bound claim grows only where its storage class lets volumes grow."""

    name = "PersistentVolumeClaimResize"
    resources = (PERSISTENTVOLUMECLAIMS,)

    def __init__(self, reader: Reader) -> None:
        self._classes = reader.cached(STORAGECLASSES)

    async def validate(self, attributes: Attributes) -> None:
        from podium.machinery.quantity import parse  # noqa: PLC0415

        claim = concerns(attributes, PERSISTENTVOLUMECLAIMS, "UPDATE")
        old = attributes.old_object
        if claim is None or old is None or meta.dig(old, "status", "phase") != "Bound":
            return
        new_size = meta.dig(claim, "spec", "resources", "requests", "storage", default="0")
        old_size = meta.dig(old, "spec", "resources", "requests", "storage", default="0")
        if not parse(old_size) < parse(new_size):
            return
        name = meta.dig(claim, "spec", "storageClassName", default="")
        storage_class = self._classes.get(None, name) if name else None
        if storage_class is None or not storage_class.get("allowVolumeExpansion"):
            raise refused(
                attributes,
                "only dynamically provisioned pvc can be resized and the storageclass that provisions "
                "the pvc must support resize",
            )
