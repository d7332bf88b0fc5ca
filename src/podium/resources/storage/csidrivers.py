"""CSIDriver, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

CSIDRIVERS = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSIDriver",
    plural="csidrivers",
    namespaced=False,
    schema="io.k8s.api.storage.v1.CSIDriver",
)
