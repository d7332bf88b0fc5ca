"""What is wrong with sources of volumes that are outside of the cluster: of pods, and of persistent volumes,
whose form of a source may differ."""

from __future__ import annotations

import re

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, no_backsteps, relative_path, required_name
from podium.resources.defaulting import given
from podium.resources.resource.names import driver

ONE_TYPE = "may not specify more than 1 volume type"
BLAMED_AS_SECOND = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
"""What upstream calls a source in the error that it is one too many, where it is not its name."""
_BLAMED = {"gcePersistentDisk": "persistentDisk"}
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
_NEEDED = {
    "glusterfs": ("endpoints", "path"),
    "rbd": ("monitors", "image"),
    "cephfs": ("monitors",),
    "cinder": ("volumeID",),
    "vsphereVolume": ("volumePath",),
    "photonPersistentDisk": ("pdID",),
    "portworxVolume": ("volumeID",),
    "scaleIO": ("gateway", "system", "volumeName"),
    "azureFile": ("secretName", "shareName"),
    "gcePersistentDisk": ("pdName",),
    "awsElasticBlockStore": ("volumeID",),
    "gitRepo": ("repository",),
    "persistentVolumeClaim": ("claimName",),
    "flexVolume": ("driver",),
}
_INITIATORS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([0-9A-Za-z.-]+)(:[^,;*&$|\s]+)$", re.ASCII),
    "eui": re.compile(r"eui.[0-9A-Za-z]{16}$"),
    "naa": re.compile(r"naa.[0-9A-Za-z]{32}$"),
}
_INITIATOR_LENGTH_MAX = 64
_TOO_LONG_FOR_INITIATOR = (
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
    "if iscsi.initiatorName is specified."
)
_CSI_SECRETS = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)
_CACHING_MODES = ("None", "ReadOnly", "ReadWrite")
_DISK_KINDS = ("Dedicated", "Managed", "Shared")
_MANAGED_DISKS = (
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
)
_BLOBS = ("https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",)


def outside_source(kind: str, source: Object, path: str, *, volume: str | None = None) -> Errors:
    """Check a source at `path` of a volume; `volume`: the name of the PersistentVolume that has it."""
    persistent = volume is not None
    path = f"{path}.{_BLAMED.get(kind, kind)}"
    errors: Errors = [FieldError.required(f"{path}.{k}") for k in _NEEDED.get(kind, ()) if not source.get(k)]
    match kind:
        case "hostPath":
            return _host_path(source, path)
        case "local":
            return _local(source, path)
        case "nfs":
            return _nfs(source, path)
        case "iscsi":
            return _iscsi(source, path, volume)
        case "fc":
            return _fibre_channel(source, path)
        case "flocker":
            return _flocker(source, path)
        case "quobyte":
            return _quobyte(source, path)
        case "azureDisk":
            return _azure_disk(source, path)
        case "storageos":
            return _storage_os(source, path, persistent=persistent)
        case "csi":
            return _csi_volume(source, path) if persistent else _csi_inline(source, path)
        case "gitRepo":
            return errors + relative_path(f"{path}.directory", str(source.get("directory") or ""))
        case "gcePersistentDisk" | "awsElasticBlockStore":
            partition = source.get("partition") or 0
            if not 0 <= partition <= 255:
                detail = validation.range_message(1, 255)
                errors.append(FieldError.invalid(f"{path}.partition", partition, detail))
        case "cinder":
            return errors + _secret(source, path, persistent=persistent)
        case "flexVolume":
            return errors + _flex_options(source, path)
        case "glusterfs" if persistent and source.get("endpointsNamespace") is not None:
            namespace, here = str(source["endpointsNamespace"]), f"{path}.endpointsNamespace"
            if namespace:
                return errors + named(here, namespace, validation.dns1123_label_errors)
            detail = "if the endpointnamespace is set, it must be a valid namespace name"
            errors.append(FieldError.invalid(here, namespace, detail))
        case "azureFile" if persistent and source.get("secretNamespace") == "":
            errors.append(FieldError.required(f"{path}.secretNamespace"))
    return errors


def _secret(source: Object, path: str, *, persistent: bool) -> Errors:
    secret = given(source, "secretRef")
    if secret is None:
        return []
    keys = ("name", "namespace") if persistent else ("name",)
    return [FieldError.required(f"{path}.secretRef.{key}") for key in keys if not secret.get(key)]


def _host_path(source: Object, path: str) -> Errors:
    where = str(source.get("path") or "")
    if not where:
        return [FieldError.required(f"{path}.path")]
    errors = no_backsteps(f"{path}.path", where)
    kind = source.get("type") or ""
    if kind not in _HOST_PATH_TYPES:
        errors.append(FieldError.not_supported(f"{path}.type", kind, _HOST_PATH_TYPES))
    return errors


def _local(source: Object, path: str) -> Errors:
    where = str(source.get("path") or "")
    return no_backsteps(f"{path}.path", where) if where else [FieldError.required(f"{path}.path")]


def _nfs(source: Object, path: str) -> Errors:
    errors: Errors = [
        FieldError.required(f"{path}.{key}") for key in ("server", "path") if not source.get(key)
    ]
    where = str(source.get("path") or "")
    if not where.startswith("/"):
        errors.append(FieldError.invalid(f"{path}.path", where, "must be an absolute path"))
    return errors


def initiator_is_too_long(source: Object, name: str) -> bool:
    """Say whether an iSCSI source names an initiator, and the volume's name leaves it no room."""
    if source.get("initiatorName") is None:
        return False
    return len(f"{name}:{source.get('targetPortal') or ''}") > _INITIATOR_LENGTH_MAX


def too_long_for_initiator(path: str, value: str) -> FieldError:
    return FieldError.invalid(path, value, _TOO_LONG_FOR_INITIATOR)


def _iscsi(source: Object, path: str, volume: str | None) -> Errors:
    errors: Errors = []
    portal = str(source.get("targetPortal") or "")
    if not portal:
        errors.append(FieldError.required(f"{path}.targetPortal"))
    if volume is not None and initiator_is_too_long(source, volume):
        errors.append(too_long_for_initiator(f"{path}.targetportal", portal))
    unknown = "must be valid format"
    if volume is None:
        unknown += " starting with iqn, eui, or naa"
    name = str(source.get("iqn") or "")
    errors += _initiator(name, f"{path}.iqn", unknown) if name else [FieldError.required(f"{path}.iqn")]
    lun = source.get("lun") or 0
    if not 0 <= lun <= 255:
        errors.append(FieldError.invalid(f"{path}.lun", lun, validation.range_message(0, 255)))
    secret = given(source, "secretRef")
    if secret is None and (source.get("chapAuthDiscovery") or source.get("chapAuthSession")):
        errors.append(FieldError.required(f"{path}.secretRef"))
    if volume is not None and secret is not None and not secret.get("name"):
        errors.append(FieldError.required(f"{path}.secretRef.name"))
    initiator = source.get("initiatorName")
    if initiator is not None:
        errors += _initiator(str(initiator), f"{path}.initiatorname", unknown)
    return errors


def _initiator(name: str, path: str, unknown: str) -> Errors:
    pattern = _INITIATORS.get(name[:3])
    if pattern is None:
        return [FieldError.invalid(path, name, unknown)]
    found = pattern.search(name) if name[:3] == "iqn" else pattern.match(name)
    return [] if found else [FieldError.invalid(path, name, "must be valid format")]


def _fibre_channel(source: Object, path: str) -> Errors:
    errors: Errors = []
    targets, lun = source.get("targetWWNs") or [], source.get("lun")
    if not targets and not source.get("wwids"):
        detail = "must specify either targetWWNs or wwids, but not both"
        errors.append(FieldError.required(f"{path}.targetWWNs", detail))
    if targets and source.get("wwids"):
        detail = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(FieldError.invalid(f"{path}.targetWWNs", targets, detail))
    if targets and lun is None:
        errors.append(FieldError.required(f"{path}.lun", "lun is required if targetWWNs is specified"))
    elif targets and lun is not None and not 0 <= lun <= 255:
        errors.append(FieldError.invalid(f"{path}.lun", lun, validation.range_message(0, 255)))
    return errors


def _flocker(source: Object, path: str) -> Errors:
    errors: Errors = []
    name, uid = str(source.get("datasetName") or ""), source.get("datasetUUID")
    if not name and not uid:
        errors.append(FieldError.required(path, "one of datasetName and datasetUUID is required"))
    if name and uid:
        detail = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(FieldError.invalid(path, "resource", detail))
    if "/" in name:
        errors.append(FieldError.invalid(f"{path}.datasetName", name, "must not contain '/'"))
    return errors


def _quobyte(source: Object, path: str) -> Errors:
    errors: Errors = []
    registry = str(source.get("registry") or "")
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    if not registry:
        errors.append(FieldError.required(f"{path}.registry", pairs))
    elif len(str(source.get("tenant") or "")) > 64:
        detail = "must be a UUID and may not exceed a length of 64 characters"
        errors.append(FieldError.required(f"{path}.tenant", detail))
    else:
        for pair in registry.split(","):
            if not re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:\[\]]*", pair):
                errors.append(FieldError.invalid(f"{path}.registry", registry, pairs))
    if not source.get("volume"):
        errors.append(FieldError.required(f"{path}.volume"))
    return errors


def _azure_disk(source: Object, path: str) -> Errors:
    errors: Errors = [
        FieldError.required(f"{path}.{k}") for k in ("diskName", "diskURI") if not source.get(k)
    ]
    caching, kind, uri = source.get("cachingMode"), source.get("kind"), str(source.get("diskURI") or "")
    if caching is not None and caching not in _CACHING_MODES:
        errors.append(FieldError.not_supported(f"{path}.cachingMode", caching, _CACHING_MODES))
    if kind is None:
        return errors
    if kind not in _DISK_KINDS:
        errors.append(FieldError.not_supported(f"{path}.kind", kind, _DISK_KINDS))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(FieldError.not_supported(f"{path}.diskURI", uri, _MANAGED_DISKS))
    if kind != "Managed" and not uri.startswith("https://"):
        errors.append(FieldError.not_supported(f"{path}.diskURI", uri, _BLOBS))
    return errors


def _storage_os(source: Object, path: str, *, persistent: bool) -> Errors:
    label = validation.dns1123_label_errors
    errors = required_name(f"{path}.volumeName", source.get("volumeName"), label)
    if source.get("volumeNamespace"):
        errors += named(f"{path}.volumeNamespace", source["volumeNamespace"], label)
    return errors + _secret(source, path, persistent=persistent)


def _flex_options(source: Object, path: str) -> Errors:
    detail = "kubernetes.io and k8s.io namespaces are reserved"
    return [
        FieldError.invalid(f"{path}.options[{key}]", key, detail)
        for key in sorted(source.get("options") or {})
        if f".{key.partition('/')[0].lower()}".endswith((".kubernetes.io", ".k8s.io"))
    ]


def _csi_inline(source: Object, path: str) -> Errors:
    errors = driver(f"{path}.driver", str(source.get("driver") or ""))
    secret = given(source, "nodePublishSecretRef")
    if secret is None:
        return errors
    if not secret.get("name"):
        return [*errors, FieldError.required(f"{path}.nodePublishSecretRef.name")]
    # The path is upstream's.
    return errors + named(f"{path}.name", secret["name"], validation.dns1123_subdomain_errors)


def _csi_volume(source: Object, path: str) -> Errors:
    errors = driver(f"{path}.driver", str(source.get("driver") or ""))
    if not source.get("volumeHandle"):
        errors.append(FieldError.required(f"{path}.volumeHandle"))
    for key in _CSI_SECRETS:
        secret = given(source, key)
        if secret is not None:
            name, namespace = secret.get("name"), secret.get("namespace")
            subdomain, label = validation.dns1123_subdomain_errors, validation.dns1123_label_errors
            errors += required_name(f"{path}.{key}.name", name, subdomain)
            errors += required_name(f"{path}.{key}.namespace", namespace, label)
    return errors
