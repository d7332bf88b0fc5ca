"""Storage: storage.k8s.io/v1beta1, and what v1alpha1 had besides."""

from __future__ import annotations

from podium.machinery.derived import Package
from podium.resources.legacy.older import older
from podium.resources.storage.csidrivers import CSIDRIVERS
from podium.resources.storage.csinodes import CSINODES
from podium.resources.storage.csistoragecapacities import CSISTORAGECAPACITIES
from podium.resources.storage.storageclasses import STORAGECLASSES
from podium.resources.storage.volumeattachments import VOLUMEATTACHMENTS


def _package(version: str) -> Package:
    return Package(
        name=f"io.k8s.api.storage.{version}",
        group="storage.k8s.io",
        version=version,
        bases=("io.k8s.api.storage.v1",),
    )


V1BETA1_PACKAGE, V1ALPHA1_PACKAGE = PACKAGES = (_package("v1beta1"), _package("v1alpha1"))

RESOURCES = (
    older(CSIDRIVERS, V1BETA1_PACKAGE, deprecated=(1, 19), removed=(1, 22)),
    older(CSINODES, V1BETA1_PACKAGE, deprecated=(1, 17), removed=(1, 22)),
    older(CSISTORAGECAPACITIES, V1BETA1_PACKAGE, deprecated=(1, 24), removed=(1, 27)),
    older(STORAGECLASSES, V1BETA1_PACKAGE, deprecated=(1, 19), removed=(1, 22)),
    older(VOLUMEATTACHMENTS, V1BETA1_PACKAGE, deprecated=(1, 19), removed=(1, 22)),
    older(
        CSISTORAGECAPACITIES,
        V1ALPHA1_PACKAGE,
        deprecated=(1, 21),
        removed=(1, 24),
        replacement="storage.k8s.io/v1beta1 CSIStorageCapacity",
    ),
    older(VOLUMEATTACHMENTS, V1ALPHA1_PACKAGE, deprecated=(1, 21), removed=(1, 24)),
)
