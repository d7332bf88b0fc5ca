"""What is wrong with persistent volumes and claims, on create and on update."""

from __future__ import annotations

import posixpath

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.meta import deep_copy
from podium.resources.checks import (
    Errors,
    difference,
    metadata_of,
    named,
    parse_quantity,
    spec_of,
    unchanged,
)
from podium.resources.core import resource_names
from podium.resources.core.affinity_validation import has_impossible_values, validate_node_selector
from podium.resources.core.claim_validation import (
    VOLUME_MODES,
    Tolerated,
    access_mode_errors,
    validate_claim_spec,
)
from podium.resources.core.persistentvolumeclaims import follow_data_source
from podium.resources.core.source_validation import BLAMED_AS_SECOND, ONE_TYPE, outside_source
from podium.resources.defaulting import given

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_SUCCESSORS = {
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
}
RESIZE_STATES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)
MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_WITH_MOUNT_OPTIONS = (
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
)
_SOURCES = (
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
)


def validate_claim(claim: Object) -> Errors:
    """Check a PersistentVolumeClaim."""
    return validate_claim_spec(spec_of(claim), "spec")


def validate_claim_update(new: Object, old: Object) -> Errors:
    """Check a changed claim: only a bound one may ask for more."""
    errors = validate_claim_spec(spec_of(new), "spec", Tolerated.of(spec_of(old)))
    spec: Object = deep_copy(spec_of(new))
    before: Object = deep_copy(spec_of(old))
    # Claims of old may have one field alone, of the two that say where data come from.
    follow_data_source(before)
    bound = (given(new, "status") or {}).get("phase") == "Bound"
    if not before.get("volumeName"):
        before.pop("volumeName", None)
        if spec.get("volumeName"):
            before["volumeName"] = spec["volumeName"]
    errors += _class_changes(new, old, spec, before)
    requests, were = _requests(spec), _requests(before)
    size, was = requests.get("storage"), were.get("storage")
    if bound:
        if requests and was is not None:
            requests["storage"] = was
        for side in (spec, before):
            side.pop("volumeAttributesClassName", None)
    if not unchanged(spec, before):
        detail = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName "
            f"for bound claims\n{difference(before, spec)}"
        )
        errors.append(FieldError.forbidden("spec", detail))
    if was is not None and parse_quantity(size or 0) < parse_quantity(was):
        capacity = ((given(old, "status") or {}).get("capacity") or {}).get("storage") or 0
        if parse_quantity(size or 0) <= parse_quantity(capacity):
            detail = "field can not be less than status.capacity"
            errors.append(FieldError.forbidden("spec.resources.requests.storage", detail))
    errors += validation.validate_immutable(
        spec_of(new).get("volumeMode"), spec_of(old).get("volumeMode"), "volumeMode"
    )
    return errors + _attributes_class(new, old)


def _class_changes(new: Object, old: Object, spec: Object, before: Object) -> Errors:
    """Allow a claim that has no class, or only an annotation that names one, to be given it as a field: take
    what may change out of `spec`. Return what is wrong with the annotation."""
    annotated, was = (metadata_of(side).get("annotations") or {} for side in (new, old))
    name = spec.get("storageClassName")
    if before.get("storageClassName") is None and name is not None and was.get(CLASS_ANNOTATION) == name:
        spec.pop("storageClassName")
        if annotated.get(CLASS_ANNOTATION, name) == name:
            return []
    elif before.get("storageClassName") is None and name is not None and CLASS_ANNOTATION not in was:
        spec.pop("storageClassName")
    now = annotated.get(CLASS_ANNOTATION) or ""
    if now == (was.get(CLASS_ANNOTATION) or ""):
        return []
    field = f"metadata.annotations[{CLASS_ANNOTATION}]"
    return [FieldError.invalid(field, now, validation.IMMUTABLE)]


def _attributes_class(new: Object, old: Object) -> Errors:
    """Refuse to take a class of attributes away once one has been applied."""
    name, status = spec_of(new).get("volumeAttributesClassName"), given(old, "status") or {}
    applied = status.get("currentVolumeAttributesClassName") is not None
    if name or not applied or name == spec_of(old).get("volumeAttributesClassName"):
        return []
    what = "nil" if name is None else "empty string"
    detail = f"update to {what} is forbidden when status.currentVolumeAttributesClassName is not nil"
    return [FieldError.forbidden("spec.volumeAttributesClassName", detail)]


def validate_claim_status(new: Object, _old: Object) -> Errors:
    """Check what controllers say about a claim."""
    status = given(new, "status") or {}
    errors: Errors = []
    if not spec_of(new).get("accessModes"):
        # The field's name starts with a capital in upstream's error.
        errors.append(FieldError.required("Spec.accessModes"))
    for name, amount in sorted((status.get("capacity") or {}).items()):
        errors += _basic_amount(f"status.capacity[{name}]", amount)
    path = "status.allocatedResourceStatuses"
    for name, state in sorted((status.get("allocatedResourceStatuses") or {}).items()):
        errors += _claim_resource(path, name)
        if state not in RESIZE_STATES:
            errors.append(FieldError.not_supported(path, name, RESIZE_STATES))
    path = "status.allocatedResources"
    for name, amount in sorted((status.get("allocatedResources") or {}).items()):
        errors += _claim_resource(path, name) or _basic_amount(f"{path}[{name}]", amount)
    return errors


def _basic_amount(path: str, amount: Json) -> Errors:
    whole = -(-parse_quantity(amount).milli() // 1000)
    return [FieldError.invalid(path, whole, "must be a valid resource quantity")] if whole < 0 else []


def _claim_resource(path: str, name: str) -> Errors:
    errors = named(path, name, validation.qualified_name_errors)
    if not errors and resource_names.is_native(name) and name != "storage":
        errors.append(FieldError.not_supported(path, name, ("storage",)))
    return errors


def _requests(spec: Object) -> Object:
    return given(given(spec, "resources") or {}, "requests") or {}


def validate_volume(volume: Object) -> Errors:
    """Check a PersistentVolume."""
    return _volume(volume, None) + _mount_options(volume)


def _volume(volume: Object, old: Object | None) -> Errors:
    spec = spec_of(volume)
    errors: Errors = [] if spec.get("accessModes") else [FieldError.required("spec.accessModes")]
    errors += access_mode_errors(spec, "spec")
    errors += _capacity(spec)
    policy = spec.get("persistentVolumeReclaimPolicy")
    if policy and policy not in RECLAIM_POLICIES:
        path = "spec.persistentVolumeReclaimPolicy"
        errors.append(FieldError.not_supported(path, policy, RECLAIM_POLICIES))
    affinity = given(spec, "nodeAffinity")
    if affinity is not None:
        required = given(affinity, "required")
        if required is None:
            detail = "must specify required node constraints"
            errors.append(FieldError.required("spec.nodeAffinity.required", detail))
        else:
            before = given(given(spec_of(old or {}), "nodeAffinity") or {}, "required")
            path = "spec.nodeAffinity.required"
            errors += validate_node_selector(required, path, any_values=has_impossible_values(before))
    errors += _source(spec, affinity, str(metadata_of(volume).get("name") or ""))
    root = posixpath.normpath(str((given(spec, "hostPath") or {}).get("path") or ".")) == "/"
    if root and policy == "Recycle":
        detail = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(FieldError.forbidden("spec.persistentVolumeReclaimPolicy", detail))
    if spec.get("storageClassName"):
        rule = validation.dns1123_subdomain_errors
        errors += named("spec.storageClassName", spec["storageClassName"], rule)
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(FieldError.not_supported("spec.volumeMode", mode, VOLUME_MODES))
    return errors + _volume_attributes(spec)


def _volume_attributes(spec: Object) -> Errors:
    name, path = spec.get("volumeAttributesClassName"), "spec.volumeAttributesClassName"
    if name is None:
        return []
    errors: Errors = []
    if not name:
        errors.append(FieldError.required(path, "an empty string is disallowed"))
    else:
        errors += named(path, name, validation.dns1123_subdomain_errors)
    if spec.get("csi") is None:
        detail = "has to be specified when using volumeAttributesClassName"
        errors.append(FieldError.required("spec.csi", detail))
    return errors


def _mount_options(volume: Object) -> Errors:
    """Refuse the annotation of old for volumes that are not mounted with options."""
    if MOUNT_OPTIONS not in (metadata_of(volume).get("annotations") or {}):
        return []
    if any(given(spec_of(volume), kind) is not None for kind in _WITH_MOUNT_OPTIONS):
        return []
    path = f"metadata.annotations.{MOUNT_OPTIONS}"
    return [FieldError.forbidden(path, "may not specify mount options for this volume type")]


def _capacity(spec: Object) -> Errors:
    capacity = spec.get("capacity") or {}
    errors: Errors = []
    if not capacity:
        errors.append(FieldError.required("spec.capacity"))
    if list(capacity) != ["storage"]:
        errors.append(FieldError.not_supported("spec.capacity", capacity, ("storage",)))
    for name, value in sorted(capacity.items()):
        errors += _basic_amount(f"spec.capacity[{name}]", value)
        if parse_quantity(value).nanos <= 0:
            detail = "must be greater than zero"
            errors.append(FieldError.invalid(f"spec.capacity[{name}]", str(value), detail))
    return errors


def _source(spec: Object, affinity: Object | None, name: str) -> Errors:
    errors: Errors = []
    found = 0
    for kind in _SOURCES:
        source = given(spec, kind)
        if source is None:
            continue
        # Upstream takes a flexVolume beside whatever stands before it in this order.
        if found and kind != "flexVolume":
            errors.append(FieldError.forbidden(f"spec.{BLAMED_AS_SECOND.get(kind, kind)}", ONE_TYPE))
            continue
        found += 1
        errors += outside_source(kind, source, "spec", volume=name)
        if kind == "local" and affinity is None:
            detail = "Local volume requires node affinity"
            errors.append(FieldError.required("spec.nodeAffinity", detail))
    if not found:
        errors.append(FieldError.required("spec", "must specify a volume type"))
    return errors


def validate_volume_update(new: Object, old: Object) -> Errors:
    """Check a changed PersistentVolume: where its data are cannot change."""
    # Upstream checks the whole twice, and so names each fault twice.
    whole = _volume(new, old)
    errors = [*whole, *_mount_options(new), *whole]
    spec, before = spec_of(new), spec_of(old)
    source, was = (
        {kind: side[kind] for kind in _SOURCES if side.get(kind) is not None} for side in (spec, before)
    )
    csi, old_csi = given(source, "csi"), given(was, "csi")
    if csi is not None and old_csi is not None and old_csi.get("controllerExpandSecretRef") is None:
        # May be given later.
        source["csi"] = {key: csi[key] for key in csi if key != "controllerExpandSecretRef"}
    if not unchanged(source, was):
        detail = f"spec.persistentvolumesource is immutable after creation\n{difference(was, source)}"
        errors.append(FieldError.forbidden("spec.persistentvolumesource", detail))
    errors += validation.validate_immutable(spec.get("volumeMode"), before.get("volumeMode"), "volumeMode")
    name, old_name = spec.get("volumeAttributesClassName"), before.get("volumeAttributesClassName")
    if name is None and old_name is not None:
        detail = "update from non-nil value to nil is forbidden"
        errors.append(FieldError.forbidden("spec.volumeAttributesClassName", detail))
    return errors


def same_node_affinity(new: Object, old: Object | None) -> Errors:
    """Refuse a change of where a volume can be reached from; labels may be replaced by their successors."""
    before = spec_of(old or {}).get("nodeAffinity")
    affinity = spec_of(new).get("nodeAffinity")
    if before is None or unchanged(_with_current_labels(affinity), _with_current_labels(before)):
        return []
    detail = "field is immutable, except for updating from beta label to GA"
    return [FieldError.invalid("nodeAffinity", affinity, detail)]


def _with_current_labels(value: Json) -> Json:
    if isinstance(value, list):
        return [_with_current_labels(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _SUCCESSORS.get(item, item) if key == "key" else _with_current_labels(item)
        for key, item in value.items()
    }
