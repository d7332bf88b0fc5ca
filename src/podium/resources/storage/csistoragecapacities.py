"""CSIStorageCapacity, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.resources import deferred

CSISTORAGECAPACITIES = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    namespaced=True,
    schema="io.k8s.api.storage.v1.CSIStorageCapacity",
    metadata_again=1,
    unconditional_update=False,
    validate=deferred.check("storage.validation", "validate_capacity"),
    validate_update=deferred.update_check("storage.validation", "validate_capacity_update"),
    warnings=deferred.warnings("warnings", "capacity_warnings"),
)
