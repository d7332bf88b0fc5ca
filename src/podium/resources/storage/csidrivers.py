"""CSIDriver, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import absent, blank, child


def _defaults(driver: Object) -> None:
    spec = child(driver, "spec")
    absent(spec, "attachRequired", True)
    absent(spec, "podInfoOnMount", False)
    absent(spec, "storageCapacity", False)
    absent(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType")
    blank(spec, "volumeLifecycleModes", ["Persistent"])
    absent(spec, "requiresRepublish", False)
    absent(spec, "seLinuxMount", False)


CSIDRIVERS = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSIDriver",
    plural="csidrivers",
    namespaced=False,
    schema="io.k8s.api.storage.v1.CSIDriver",
    defaults=_defaults,
)
