"""DeviceClass, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME


def _defaults(device_class: Object) -> None:
    child(device_class, "spec")


DEVICECLASSES = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="DeviceClass",
    plural="deviceclasses",
    namespaced=False,
    schema="io.k8s.api.resource.v1.DeviceClass",
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
