"""DeviceClass, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME
from podium.resources.twins import deprecated, twin


def _defaults(device_class: Object) -> None:
    child(device_class, "spec")


DEVICECLASSES = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="DeviceClass",
    plural="deviceclasses",
    namespaced=False,
    schema="io.k8s.api.resource.v1.DeviceClass",
    gated=(Gated(gate="DRAExtendedResource", paths=("spec.extendedResourceName",)),),
    generation=True,
    defaults=_defaults,
    columns=(
        NAME,
        AGE,
    ),
    delete_returns_object=True,
    validate=deferred.check("resource.validation", "validate_class"),
    validate_update=deferred.check_new("resource.validation", "validate_class"),
)

DEVICECLASSES_V1BETA2 = twin(
    DEVICECLASSES,
    "v1beta2",
    deprecation=deprecated("resource.k8s.io/v1beta2", "DeviceClass", "1.36", "1.39"),
)

DEVICECLASSES_V1BETA1 = twin(
    DEVICECLASSES,
    "v1beta1",
    deprecation=deprecated("resource.k8s.io/v1beta1", "DeviceClass", "1.35", "1.38"),
)
