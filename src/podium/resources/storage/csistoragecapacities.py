"""CSIStorageCapacity, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

CSISTORAGECAPACITIES = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    namespaced=True,
    schema="io.k8s.api.storage.v1.CSIStorageCapacity",
    unconditional_update=False,
)
