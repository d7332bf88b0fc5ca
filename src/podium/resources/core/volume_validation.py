"""What is wrong with volumes: of pods, and with the sources that persistent volumes share with them."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.resources.checks import (
    Errors,
    named,
    no_backsteps,
    nonnegative_quantity,
    objects,
    relative_path,
    required_name,
)
from podium.resources.core.claim_validation import validate_claim_spec
from podium.resources.defaulting import given

MODE_MAX = 0o777
_BAD_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_ONE_TYPE = "may not specify more than 1 volume type"
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
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
_DOWNWARD_VOLUME_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "metadata.uid",
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
        errors = _validate_source(volume, here)
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


def _validate_source(volume: Object, path: str) -> Errors:
    errors: Errors = []
    found = 0
    for kind in _SOURCES:
        source = given(volume, kind)
        if source is None:
            continue
        here = f"{path}.{kind}"
        if found:
            errors.append(FieldError.forbidden(here, _ONE_TYPE))
        else:
            found += 1
            errors += validate_source(kind, source, here)
    if not found:
        errors.append(FieldError.required(path, "must specify a volume type"))
    return errors


def validate_source(kind: str, source: Object, path: str) -> Errors:
    """Check one source of a volume."""
    match kind:
        case "emptyDir":
            return _empty_dir(source, path)
        case "hostPath":
            return host_path(source, path)
        case "secret":
            return _keyed(source, path, "secretName")
        case "configMap":
            return _keyed(source, path, "name")
        case "downwardAPI":
            return _mode(source, path, "defaultMode") + _downward_items(source, path)
        case "projected":
            return _projected(source, path)
        case "persistentVolumeClaim":
            return [] if source.get("claimName") else [FieldError.required(f"{path}.claimName")]
        case "nfs":
            return _nfs(source, path)
        case "csi":
            return [] if source.get("driver") else [FieldError.required(f"{path}.driver")]
        case "ephemeral":
            return _ephemeral(source, path)
        case "image":
            return _image(source, path)
        case "iscsi":
            return _required(source, path, "targetPortal", "iqn")
        case "rbd":
            return _required(source, path, "monitors", "image")
        case "cephfs":
            return _required(source, path, "monitors")
        case "glusterfs":
            return _required(source, path, "endpoints", "path")
        case "gitRepo":
            return _required(source, path, "repository")
    return []


def _required(source: Object, path: str, *keys: str) -> Errors:
    return [FieldError.required(f"{path}.{key}") for key in keys if not source.get(key)]


def _mode(source: Object, path: str, key: str) -> Errors:
    mode = source.get(key)
    if mode is None or 0 <= mode <= MODE_MAX:
        return []
    return [FieldError.invalid(f"{path}.{key}", mode, _BAD_MODE)]


def _empty_dir(source: Object, path: str) -> Errors:
    size = source.get("sizeLimit")
    if size is None:
        return []
    errors = nonnegative_quantity(f"{path}.sizeLimit", size)
    if errors:
        detail = "SizeLimit field must be a valid resource quantity"
        return [FieldError.forbidden(f"{path}.sizeLimit", detail)]
    return []


def host_path(source: Object, path: str) -> Errors:
    """Check a directory or file of the node."""
    where = str(source.get("path") or "")
    if not where:
        return [FieldError.required(f"{path}.path")]
    errors = no_backsteps(f"{path}.path", where)
    kind = source.get("type") or ""
    if kind not in _HOST_PATH_TYPES:
        errors.append(FieldError.not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))
    return errors


def _nfs(source: Object, path: str) -> Errors:
    errors = _required(source, path, "server", "path")
    where = str(source.get("path") or "")
    if where and not where.startswith("/"):
        errors.append(FieldError.invalid(f"{path}.path", where, "must be an absolute path"))
    return errors


def _keyed(source: Object, path: str, name: str) -> Errors:
    errors = _required(source, path, name)
    errors += _mode(source, path, "defaultMode")
    for index, item in enumerate(objects(source.get("items"))):
        errors += _key_to_path(item, f"{path}.items[{index}]")
    return errors


def _key_to_path(item: Object, path: str) -> Errors:
    errors = _required(item, path, "key")
    where = str(item.get("path") or "")
    if not where:
        errors.append(FieldError.required(f"{path}.path"))
    errors += _local_path(where, f"{path}.path")
    errors += _mode(item, path, "mode")
    return errors


def _local_path(where: str, path: str) -> Errors:
    errors = relative_path(path, where)
    if where.startswith("..") and not where.startswith("../") and where != "..":
        errors.append(FieldError.invalid(path, where, "must not start with '..'"))
    return errors


def _downward_items(source: Object, path: str) -> Errors:
    errors: Errors = []
    for index, item in enumerate(objects(source.get("items"))):
        here = f"{path}.items[{index}]"
        where = str(item.get("path") or "")
        if not where:
            errors.append(FieldError.required(f"{here}.path"))
        errors += _local_path(where, f"{here}.path")
        field_ref, resource_ref = given(item, "fieldRef"), given(item, "resourceFieldRef")
        if field_ref is not None:
            errors += object_field(field_ref, f"{here}.fieldRef", _DOWNWARD_VOLUME_FIELDS)
            if resource_ref is not None:
                detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.append(FieldError.invalid(here, "resource", detail))
        elif resource_ref is not None:
            if not resource_ref.get("containerName"):
                errors.append(FieldError.required(f"{here}.resourceFieldRef.containerName"))
        else:
            errors.append(FieldError.required(here, "one of fieldRef and resourceFieldRef is required"))
        errors += _mode(item, here, "mode")
    return errors


def object_field(selector: Object, path: str, allowed: tuple[str, ...]) -> Errors:
    """Check a fieldRef against the fields that may be named where it stands."""
    where = str(selector.get("fieldPath") or "")
    if not selector.get("apiVersion"):
        return [FieldError.required(f"{path}.apiVersion")]
    if not where:
        return [FieldError.required(f"{path}.fieldPath")]
    head, bracket, rest = where.partition("['")
    if bracket and rest.endswith("']"):
        key = rest[:-2]
        if head == "metadata.annotations":
            return named(f"{path}.fieldPath", key.lower(), validation.qualified_name_errors)
        if head == "metadata.labels":
            return named(f"{path}.fieldPath", key, validation.qualified_name_errors)
        detail = "does not support subscript"
        return [FieldError.invalid(f"{path}.fieldPath", where, detail)]
    if where not in allowed:
        return [FieldError.not_supported(f"{path}.fieldPath", where, sorted(allowed))]
    return []


def _projected(source: Object, path: str) -> Errors:
    errors = _mode(source, path, "defaultMode")
    for index, part in enumerate(objects(source.get("sources"))):
        here = f"{path}.sources[{index}]"
        found = 0
        for kind in ("secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"):
            projection = given(part, kind)
            if projection is None:
                continue
            if found:
                errors.append(FieldError.forbidden(f"{here}.{kind}", _ONE_TYPE))
                continue
            found += 1
            errors += _projection(kind, projection, f"{here}.{kind}")
        if not found and given(part, "podCertificate") is None:
            errors.append(FieldError.required(here, "must specify a volume type"))
    return errors


def _projection(kind: str, projection: Object, path: str) -> Errors:
    errors: Errors = []
    match kind:
        case "secret" | "configMap":
            errors += _required(projection, path, "name")
            for index, item in enumerate(objects(projection.get("items"))):
                errors += _key_to_path(item, f"{path}.items[{index}]")
        case "downwardAPI":
            errors += _downward_items(projection, path)
        case "serviceAccountToken":
            seconds = projection.get("expirationSeconds")
            if seconds is not None and seconds < 10 * 60:
                detail = "may not specify a duration less than 10 minutes"
                errors.append(FieldError.invalid(f"{path}.expirationSeconds", seconds, detail))
            if seconds is not None and seconds > 2**32:
                detail = "may not specify a duration larger than 2^32 seconds"
                errors.append(FieldError.invalid(f"{path}.expirationSeconds", seconds, detail))
            where = str(projection.get("path") or "")
            if not where:
                errors.append(FieldError.required(f"{path}.path"))
            else:
                errors += _local_path(where, f"{path}.path")
    return errors


def _ephemeral(source: Object, path: str) -> Errors:
    template = given(source, "volumeClaimTemplate")
    if template is None:
        return [FieldError.required(f"{path}.volumeClaimTemplate")]
    return validate_claim_spec(given(template, "spec") or {}, f"{path}.volumeClaimTemplate.spec")


def _image(source: Object, path: str) -> Errors:
    errors = _required(source, path, "reference")
    policy = source.get("pullPolicy")
    policies = ("Always", "IfNotPresent", "Never")
    if policy and policy not in policies:
        errors.append(FieldError.not_supported(f"{path}.pullPolicy", policy, policies))
    return errors
