"""PersistentVolumeClaim, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.core import volumes
from podium.resources.core.persistentvolumes import phase, storage_class
from podium.resources.defaulting import blank, child, drop_zero, given
from podium.resources.printing import AGE, NAME, UNSET, access_modes_text, column, quantity_text
from podium.resources.printing import spec as spec_of
from podium.resources.printing import status as status_of


def _defaults(claim: Object) -> None:
    spec = child(claim, "spec")
    volumes.default_claim_spec(spec)
    drop_zero(spec, "volumeName")
    blank(child(claim, "status"), "phase", "Pending")


_SNAPSHOT_GROUP = "snapshot.storage.k8s.io"


def _prepare_create(claim: Object) -> None:
    claim["status"] = {"phase": "Pending"}
    _settle_data_source(child(claim, "spec"), None)


def _prepare_update(new: Object, old: Object) -> None:
    """A client that knows only one of the two fields does not mean to take the other away."""
    _settle_data_source(child(new, "spec"), spec_of(old))


def _settle_data_source(spec: Object, before: Object | None) -> None:
    """Keep the older of the two fields that say where data come from to the kinds that it always knew, and
    let each of the two follow the other."""
    source, reference = given(spec, "dataSource"), given(spec, "dataSourceRef")
    in_use = before is not None and (before.get("dataSource") or before.get("dataSourceRef"))
    if source is not None and reference is None and not in_use:
        known = (source.get("kind"), source.get("apiGroup") or "")
        if known not in (("PersistentVolumeClaim", ""), ("VolumeSnapshot", _SNAPSHOT_GROUP)):
            del spec["dataSource"]
    follow_data_source(spec)


def follow_data_source(spec: Object) -> None:
    """Let each of the two fields that say where data come from follow the other."""
    source, reference = given(spec, "dataSource"), given(spec, "dataSourceRef")
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = dict(reference)


def _capacity(claim: Object) -> str:
    if not spec_of(claim).get("volumeName"):
        return ""
    return quantity_text((status_of(claim).get("capacity") or {}).get("storage"))


def _access_modes(claim: Object) -> str:
    return access_modes_text(status_of(claim).get("accessModes")) if spec_of(claim).get("volumeName") else ""


PERSISTENTVOLUMECLAIMS = Resource(
    version="v1",
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    namespaced=True,
    short_names=("pvc",),
    schema="io.k8s.api.core.v1.PersistentVolumeClaim",
    metadata_again=1,
    gated=(
        Gated(
            gate="CrossNamespaceVolumeDataSource",
            paths=("spec.dataSourceRef.namespace",),
            dropped=("spec.dataSourceRef",),
        ),
    ),
    status=True,
    delete_returns_object=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    columns=(
        NAME,
        column("Status", phase),
        column("Volume", lambda obj: spec_of(obj).get("volumeName") or ""),
        column("Capacity", _capacity),
        column("Access Modes", _access_modes),
        column("StorageClass", storage_class),
        column("VolumeAttributesClass", lambda obj: spec_of(obj).get("volumeAttributesClassName", UNSET)),
        AGE,
        column("VolumeMode", lambda obj: spec_of(obj).get("volumeMode") or UNSET, wide=True),
    ),
    warnings=deferred.warnings("core.warnings", "volume_claim_warnings"),
    validate=deferred.check("core.storage_validation", "validate_claim"),
    validate_update=deferred.update_check("core.storage_validation", "validate_claim_update"),
    validate_status_update=deferred.update_check("core.storage_validation", "validate_claim_status"),
)
