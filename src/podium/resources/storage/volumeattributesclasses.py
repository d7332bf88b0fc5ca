"""VolumeAttributesClass, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.printing import AGE, NAME, column
from podium.resources.twins import deprecated, twin

VOLUMEATTRIBUTESCLASSES = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="VolumeAttributesClass",
    plural="volumeattributesclasses",
    namespaced=False,
    short_names=("vac",),
    schema="io.k8s.api.storage.v1.VolumeAttributesClass",
    metadata_again=1,
    columns=(
        NAME,
        column("DriverName", lambda obj: obj.get("driverName") or ""),
        AGE,
    ),
    delete_returns_object=True,
    validate=deferred.check("storage.validation", "validate_attributes_class"),
    validate_update=deferred.update_check("storage.validation", "validate_attributes_class_update"),
)

VOLUMEATTRIBUTESCLASSES_V1BETA1 = twin(
    VOLUMEATTRIBUTESCLASSES,
    "v1beta1",
    deprecation=deprecated(
        "storage.k8s.io/v1beta1", "VolumeAttributesClass", "1.34", "1.37", "storage.k8s.io/v1"
    ),
)
