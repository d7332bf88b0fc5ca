"""ResourceSlice, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, child
from podium.resources.printing import AGE, NAME, column, spec
from podium.resources.selecting import fields


def _defaults(resource_slice: Object) -> None:
    pool = child(child(resource_slice, "spec"), "pool")
    absent(pool, "generation", 0)


RESOURCESLICES = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceSlice",
    plural="resourceslices",
    namespaced=False,
    schema="io.k8s.api.resource.v1.ResourceSlice",
    generation=True,
    defaults=_defaults,
    columns=(
        NAME,
        column("Node", lambda obj: spec(obj).get("nodeName") or ""),
        column("Driver", lambda obj: spec(obj).get("driver") or ""),
        column("Pool", lambda obj: (spec(obj).get("pool") or {}).get("name") or ""),
        AGE,
    ),
    delete_returns_object=True,
    selectable=fields("spec.nodeName", "spec.driver"),
    validate=deferred.check("resource.validation", "validate_slice"),
    validate_update=deferred.update_check("resource.validation", "validate_slice_update"),
)
