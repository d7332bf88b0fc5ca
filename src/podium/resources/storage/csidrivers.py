"""CSIDriver, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, blank, child
from podium.resources.printing import AGE, NAME, NONE, UNSET, column
from podium.resources.printing import spec as spec_of


def _defaults(driver: Object) -> None:
    spec = child(driver, "spec")
    absent(spec, "attachRequired", True)
    absent(spec, "podInfoOnMount", False)
    absent(spec, "storageCapacity", False)
    absent(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType")
    blank(spec, "volumeLifecycleModes", ["Persistent"])
    absent(spec, "requiresRepublish", False)
    absent(spec, "seLinuxMount", False)


def _flag(driver: Object, name: str, *, default: bool = False) -> bool:
    value = spec_of(driver).get(name)
    return default if value is None else bool(value)


def _token_requests(driver: Object) -> str:
    requests = spec_of(driver).get("tokenRequests")
    return UNSET if requests is None else ",".join(str(r.get("audience") or "") for r in requests)


def _default_prevention(driver: Object) -> None:
    absent(child(driver, "spec"), "preventPodSchedulingIfMissing", False)


CSIDRIVERS = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSIDriver",
    plural="csidrivers",
    namespaced=False,
    schema="io.k8s.api.storage.v1.CSIDriver",
    gated=(Gated(gate="VolumeLimitScaling", paths=("spec.preventPodSchedulingIfMissing",)),),
    defaults=_defaults,
    defaults_by_gate={"VolumeLimitScaling": _default_prevention},
    columns=(
        NAME,
        column("AttachRequired", lambda obj: _flag(obj, "attachRequired", default=True), type="boolean"),
        column("PodInfoOnMount", lambda obj: _flag(obj, "podInfoOnMount"), type="boolean"),
        column("StorageCapacity", lambda obj: _flag(obj, "storageCapacity"), type="boolean"),
        column("TokenRequests", _token_requests),
        column("RequiresRepublish", lambda obj: _flag(obj, "requiresRepublish"), type="boolean"),
        column("Modes", lambda obj: ",".join(spec_of(obj).get("volumeLifecycleModes") or ()) or NONE),
        AGE,
    ),
    delete_returns_object=True,
    unconditional_update=False,
    generation=True,
    generation_start=0,
    validate=deferred.check("storage.validation", "validate_csi_driver"),
    validate_update=deferred.update_check("storage.validation", "validate_csi_driver_update"),
    warnings=deferred.warnings("storage.validation", "csi_driver_warnings"),
)
