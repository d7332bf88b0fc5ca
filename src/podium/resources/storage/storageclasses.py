"""StorageClass, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

STORAGECLASSES = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
    schema="io.k8s.api.storage.v1.StorageClass",
)
