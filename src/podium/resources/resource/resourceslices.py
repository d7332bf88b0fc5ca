"""ResourceSlice, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, child, given, items
from podium.resources.printing import AGE, NAME, column, of_stored, spec
from podium.resources.resource import defaults, v1beta1
from podium.resources.selecting import fields
from podium.resources.twins import deprecated, twin


def _defaults(resource_slice: Object) -> None:
    pool = child(child(resource_slice, "spec"), "pool")
    absent(pool, "generation", 0)
    for device in items(given(resource_slice, "spec"), "devices"):
        defaults.default_device(device)


def _stamp(new: Object, _old: Object | None, now: str) -> None:
    for device in items(given(new, "spec"), "devices"):
        for taint in items(device, "taints"):
            defaults.stamp_taint(taint, now)


RESOURCESLICES = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceSlice",
    plural="resourceslices",
    namespaced=False,
    schema="io.k8s.api.resource.v1.ResourceSlice",
    gated=(
        Gated(gate="DRADeviceTaints", paths=("spec.devices[].taints",)),
        Gated(
            gate="DRAPartitionableDevices",
            paths=(
                "spec.sharedCounters",
                "spec.perDeviceNodeSelection",
                *(
                    f"spec.devices[].{key}"
                    for key in ("consumesCounters", "nodeName", "nodeSelector", "allNodes")
                ),
            ),
        ),
        Gated(
            gate="DRADeviceBindingConditions",
            paths=tuple(
                f"spec.devices[].{key}"
                for key in ("bindingConditions", "bindingFailureConditions", "bindsToNode")
            ),
        ),
        Gated(
            gate="DRAConsumableCapacity",
            paths=("spec.devices[].allowMultipleAllocations", "spec.devices[].capacity{}.requestPolicy"),
        ),
        Gated(gate="DRANodeAllocatableResources", paths=("spec.devices[].nodeAllocatableResourceMappings",)),
        Gated(
            gate="DRAListTypeAttributes",
            paths=tuple(
                f"spec.devices[].attributes{{}}.{key}" for key in ("bools", "ints", "strings", "versions")
            ),
        ),
    ),
    generation=True,
    generation_of_dropped=True,
    defaults=_defaults,
    stamp=_stamp,
    columns=(
        NAME,
        column("Node", lambda obj: spec(obj).get("nodeName") or ""),
        column("Driver", lambda obj: spec(obj).get("driver") or ""),
        column("Pool", lambda obj: (spec(obj).get("pool") or {}).get("name") or ""),
        AGE,
    ),
    delete_returns_object=True,
    selectable=fields("spec.nodeName", "spec.driver"),
    unselectable="field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {}",
    validate=deferred.check("resource.slice_validation", "validate_slice"),
    validate_update=deferred.update_check("resource.slice_validation", "validate_slice_update"),
)

RESOURCESLICES_V1BETA2 = twin(
    RESOURCESLICES,
    "v1beta2",
    deprecation=deprecated("resource.k8s.io/v1beta2", "ResourceSlice", "1.36", "1.39"),
)

RESOURCESLICES_V1BETA1 = twin(
    RESOURCESLICES,
    "v1beta1",
    deprecation=deprecated("resource.k8s.io/v1beta1", "ResourceSlice", "1.35", "1.38"),
    to_storage=v1beta1.slice_to_v1,
    from_storage=v1beta1.slice_from_v1,
    defaults=v1beta1.default_slice,
    columns=of_stored(RESOURCESLICES.columns, v1beta1.slice_to_v1),
)
