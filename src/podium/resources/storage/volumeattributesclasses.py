"""VolumeAttributesClass, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.resources.printing import AGE, NAME, column

VOLUMEATTRIBUTESCLASSES = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="VolumeAttributesClass",
    plural="volumeattributesclasses",
    namespaced=False,
    short_names=("vac",),
    schema="io.k8s.api.storage.v1.VolumeAttributesClass",
    columns=(
        NAME,
        column("DriverName", lambda obj: obj.get("driverName") or ""),
        AGE,
    ),
    delete_returns_object=True,
)
