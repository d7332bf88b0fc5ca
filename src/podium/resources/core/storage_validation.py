"""What is wrong with persistent volumes and claims, on create and on update."""

from __future__ import annotations

import posixpath

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import deep_copy
from podium.resources.checks import Errors, difference, metadata_of, named, parse_quantity, same, spec_of
from podium.resources.core.affinity_validation import validate_node_selector
from podium.resources.core.claim_validation import ACCESS_MODES, VOLUME_MODES, validate_claim_spec
from podium.resources.core.volume_validation import validate_source
from podium.resources.defaulting import given

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
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
    errors = validate_claim(new)
    spec: Object = deep_copy(spec_of(new))
    before: Object = deep_copy(spec_of(old))
    bound = (given(new, "status") or {}).get("phase") == "Bound"
    if not before.get("volumeName"):
        before.pop("volumeName", None)
        if spec.get("volumeName"):
            before["volumeName"] = spec["volumeName"]
    if before.get("storageClassName") is None and spec.get("storageClassName"):
        # A claim made before there was a default class may be given one later.
        annotated = metadata_of(old).get("annotations") or {}
        if "volume.beta.kubernetes.io/storage-class" not in annotated:
            spec.pop("storageClassName")
    requests, were = _requests(spec), _requests(before)
    size, was = requests.get("storage"), were.get("storage")
    if bound:
        if requests and was is not None:
            requests["storage"] = was
        for side in (spec, before):
            side.pop("volumeAttributesClassName", None)
    if not same(spec, before):
        detail = (
            "spec is immutable after creation except resources.requests and volumeAttributesClassName "
            f"for bound claims\n{difference(before, spec)}"
        )
        errors.append(FieldError.forbidden("spec", detail))
    if size is not None and was is not None and parse_quantity(size) < parse_quantity(was):
        capacity = ((given(old, "status") or {}).get("capacity") or {}).get("storage") or 0
        if parse_quantity(size) <= parse_quantity(capacity):
            detail = "field can not be less than status.capacity"
            errors.append(FieldError.forbidden("spec.resources.requests.storage", detail))
    return errors + validation.validate_immutable(
        spec.get("volumeMode"), before.get("volumeMode"), "volumeMode"
    )


def _requests(spec: Object) -> Object:
    return given(given(spec, "resources") or {}, "requests") or {}


def validate_volume(volume: Object) -> Errors:
    """Check a PersistentVolume."""
    spec = spec_of(volume)
    errors: Errors = []
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(FieldError.required("spec.accessModes"))
    errors += [
        FieldError.not_supported("spec.accessModes", mode, ACCESS_MODES)
        for mode in modes
        if mode not in ACCESS_MODES
    ]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        detail = "may not use ReadWriteOncePod with other access modes"
        errors.append(FieldError.forbidden("spec.accessModes", detail))
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
            errors += validate_node_selector(required, "spec.nodeAffinity.required")
    errors += _source(spec, affinity)
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
    return errors


def _capacity(spec: Object) -> Errors:
    capacity = spec.get("capacity") or {}
    errors: Errors = []
    if not capacity:
        errors.append(FieldError.required("spec.capacity"))
    if list(capacity) != ["storage"]:
        errors.append(FieldError.not_supported("spec.capacity", capacity or None, ("storage",)))
    for name, value in sorted(capacity.items()):
        if parse_quantity(value).nanos <= 0:
            detail = "must be greater than zero"
            errors.append(FieldError.invalid(f"spec.capacity[{name}]", str(value), detail))
    return errors


def _source(spec: Object, affinity: Object | None) -> Errors:
    errors: Errors = []
    found = 0
    for kind in _SOURCES:
        source = given(spec, kind)
        if source is None:
            continue
        if found:
            detail = "may not specify more than 1 volume type"
            errors.append(FieldError.forbidden(f"spec.{kind}", detail))
            continue
        found += 1
        if kind == "local":
            if not source.get("path"):
                errors.append(FieldError.required("spec.local.path"))
            if affinity is None:
                detail = "Local volume requires node affinity"
                errors.append(FieldError.required("spec.nodeAffinity", detail))
        elif kind == "csi":
            keys = ("driver", "volumeHandle")
            errors += [FieldError.required(f"spec.csi.{key}") for key in keys if not source.get(key)]
        else:
            errors += validate_source(kind, source, f"spec.{kind}")
    if not found:
        errors.append(FieldError.required("spec", "must specify a volume type"))
    return errors


def validate_volume_update(new: Object, old: Object) -> Errors:
    """Check a changed PersistentVolume: where its data are cannot change."""
    errors = validate_volume(new)
    spec, before = spec_of(new), spec_of(old)
    source, was = (
        {kind: side[kind] for kind in _SOURCES if side.get(kind) is not None} for side in (spec, before)
    )
    if not same(source, was):
        detail = f"spec.persistentvolumesource is immutable after creation\n{difference(was, source)}"
        errors.append(FieldError.forbidden("spec.persistentvolumesource", detail))
    return errors + validation.validate_immutable(
        spec.get("volumeMode"), before.get("volumeMode"), "volumeMode"
    )
