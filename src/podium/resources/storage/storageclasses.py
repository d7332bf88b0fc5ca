"""StorageClass, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import absent, drop_zero


def _defaults(storage_class: Object) -> None:
    absent(storage_class, "reclaimPolicy", "Delete")
    absent(storage_class, "volumeBindingMode", "Immediate")
    drop_zero(storage_class, "parameters", "mountOptions", "allowedTopologies")


STORAGECLASSES = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
    schema="io.k8s.api.storage.v1.StorageClass",
    defaults=_defaults,
)
