"""What is wrong with the volumes of pods."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.resources.checks import Errors, nonnegative_quantity, objects, required_name
from podium.resources.core.claim_validation import validate_claim_spec
from podium.resources.core.projection_validation import downward_files, keyed_files, validate_projected
from podium.resources.core.source_validation import (
    BLAMED_AS_SECOND,
    ONE_TYPE,
    initiator_is_too_long,
    outside_source,
    too_long_for_initiator,
)
from podium.resources.defaulting import given

# In upstream's order of looking, which decides which of two sources is the second one.
_SOURCES = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """The volumes of a pod that are in order, by name, and what is wrong with the others."""

    sources: dict[str, Object] = dataclass_field(default_factory=dict)
    errors: Errors = dataclass_field(default_factory=list)


def validate_volumes(volumes: Json, pod_name: str, path: str) -> Volumes:
    """Check the volumes of a pod. Mounts may name only those that are in order."""
    result = Volumes()
    created = {f"{pod_name}-{volume.get('name')}" for volume in objects(volumes) if volume.get("ephemeral")}
    for index, volume in enumerate(objects(volumes)):
        here = f"{path}[{index}]"
        name = str(volume.get("name") or "")
        errors = _validate_source(volume, here, pod_name)
        errors += required_name(f"{here}.name", name, validation.dns1123_label_errors)
        if name in result.sources:
            errors.append(FieldError.duplicate(f"{here}.name", name))
        if errors:
            result.errors.extend(errors)
        else:
            result.sources[name] = volume
        claim = str((given(volume, "persistentVolumeClaim") or {}).get("claimName") or "")
        if pod_name and claim in created:
            detail = "must not reference a PVC that gets created for an ephemeral volume"
            result.errors.append(FieldError.invalid(f"{here}.persistentVolumeClaim.claimName", claim, detail))
    return result


def _validate_source(volume: Object, path: str, pod_name: str) -> Errors:
    errors: Errors = []
    found = 0
    for kind in _SOURCES:
        source = given(volume, kind)
        if source is None:
            continue
        if found:
            blamed = BLAMED_AS_SECOND.get(kind, kind)
            errors.append(FieldError.forbidden(f"{path}.{blamed}", ONE_TYPE))
        else:
            found += 1
            errors += _in_pod(kind, source, path, volume, pod_name)
        name = str(volume.get("name") or "")
        if kind == "iscsi" and initiator_is_too_long(source, name):
            errors.append(too_long_for_initiator(f"{path}.name", name))
    if not found:
        errors.append(FieldError.required(path, "must specify a volume type"))
    return errors


def _in_pod(kind: str, source: Object, path: str, volume: Object, pod_name: str) -> Errors:
    """Check one source of a pod's volume, at `path`.kind."""
    here = f"{path}.{kind}"
    match kind:
        case "emptyDir":
            return _empty_dir(source, here)
        case "secret":
            return keyed_files(source, here, "secretName")
        case "configMap":
            return keyed_files(source, here, "name")
        case "downwardAPI":
            return downward_files(source, here)
        case "projected":
            return validate_projected(source, here)
        case "ephemeral":
            return _ephemeral(source, path, str(volume.get("name") or ""), pod_name)
        case "image":
            return _image(source, here, pod_name)
    return outside_source(kind, source, path)


def _empty_dir(source: Object, path: str) -> Errors:
    size = source.get("sizeLimit")
    if size is None or not nonnegative_quantity(f"{path}.sizeLimit", size):
        return []
    detail = "SizeLimit field must be a valid resource quantity"
    return [FieldError.forbidden(f"{path}.sizeLimit", detail)]


def _ephemeral(source: Object, path: str, name: str, pod_name: str) -> Errors:
    template = given(source, "volumeClaimTemplate")
    here = f"{path}.ephemeral.volumeClaimTemplate"
    if template is None:
        return [FieldError.required(here)]
    errors = template_metadata(given(template, "metadata") or {}, f"{here}.metadata")
    errors += validate_claim_spec(given(template, "spec") or {}, f"{here}.spec")
    if pod_name and name:
        claim = f"{pod_name}-{name}"
        for message in validation.dns1123_subdomain_errors(claim):
            errors.append(FieldError.invalid(f"{path}.name", name, f'PVC name "{claim}": {message}'))
    return errors


def template_metadata(metadata: Object, path: str) -> Errors:
    """Check what an object made by a template is to have: labels and annotations, nothing else."""
    errors = validation.validate_annotations(metadata.get("annotations") or {}, f"{path}.annotations")
    errors += validation.validate_labels(metadata.get("labels") or {}, f"{path}.labels")
    return errors + [
        FieldError.forbidden(f"{path}.{_SPELT.get(key, key)}", "cannot be set")
        for key in METADATA_KEYS
        if key not in ("annotations", "labels") and metadata.get(key)
    ]


_SPELT = {"uid": "uID"}
METADATA_KEYS = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def _image(source: Object, path: str, pod_name: str) -> Errors:
    errors: Errors = []
    if pod_name and not source.get("reference"):
        # A template may leave it to whoever makes a pod of it.
        errors.append(FieldError.required(f"{path}.reference"))
    policy = source.get("pullPolicy")
    policies = ("Always", "IfNotPresent", "Never")
    if policy and policy not in policies:
        errors.append(FieldError.not_supported(f"{path}.pullPolicy", policy, policies))
    return errors
