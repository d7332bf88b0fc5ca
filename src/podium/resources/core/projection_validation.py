"""What is wrong with volumes that consist of files: keys, fields of the pod, tokens, certificates."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.certificates.bundle_validation import name_errors as bundle_name_errors
from podium.resources.certificates.pod_request_validation import (
    EXPIRATION_S_MAX,
    EXPIRATION_S_MIN,
    KUBERNETES_EXPIRATION_S_MAX,
    is_kubernetes_signer,
    validate_user_annotations,
)
from podium.resources.certificates.validation import signer_errors
from podium.resources.checks import Errors, objects, relative_path
from podium.resources.core.field_references import object_field, resource_field
from podium.resources.defaulting import given

MODE_MAX = 0o777
_BAD_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_TOKEN_S_MIN, _TOKEN_S_MAX = 600, 2**32
_KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "metadata.uid",
)


def mode_errors(source: Object, path: str, key: str) -> Errors:
    """Check the mode of a file, or of all files of a volume."""
    mode = source.get(key)
    if mode is None or 0 <= mode <= MODE_MAX:
        return []
    return [FieldError.invalid(f"{path}.{key}", mode, _BAD_MODE)]


def local_path(where: str, path: str) -> Errors:
    """Ask for a path below the volume that nothing of the kubelet's own has."""
    errors = relative_path(path, where)
    if where.startswith("..") and not where.startswith("../"):
        errors.append(FieldError.invalid(path, where, "must not start with '..'"))
    return errors


def key_to_path(item: Object, path: str) -> Errors:
    """Check under which path a key is found."""
    errors: Errors = [FieldError.required(f"{path}.{key}") for key in ("key", "path") if not item.get(key)]
    return errors + local_path(str(item.get("path") or ""), f"{path}.path") + mode_errors(item, path, "mode")


def downward_file(item: Object, path: str) -> Errors:
    """Check a file that holds a field of the pod. Upstream's errors do not say which file of the volume."""
    errors: Errors = []
    where = str(item.get("path") or "")
    if not where:
        errors.append(FieldError.required(f"{path}.path"))
    errors += local_path(where, f"{path}.path")
    field_ref, resource_ref = given(item, "fieldRef"), given(item, "resourceFieldRef")
    if field_ref is not None:
        errors += object_field(field_ref, f"{path}.fieldRef", _FIELDS)
        if resource_ref is not None:
            detail = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(FieldError.invalid(path, "resource", detail))
    elif resource_ref is not None:
        errors += resource_field(resource_ref, f"{path}.resourceFieldRef", of_any_container=True)
    else:
        errors.append(FieldError.required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors + mode_errors(item, path, "mode")


def validate_projected(source: Object, path: str) -> Errors:
    """Check a volume that joins several sources, no two of which may have a file under the same path."""
    errors = mode_errors(source, path, "defaultMode")
    taken: set[str] = set()

    def once(where: str, shown: str) -> Errors:
        if where in taken:
            return [FieldError.invalid(path, shown, "conflicting duplicate paths")]
        taken.add(where)
        return []

    for index, part in enumerate(objects(source.get("sources"))):
        here = f"{path}.sources[{index}]"
        kinds = [kind for kind in _PROJECTIONS if given(part, kind) is not None]
        for kind in kinds:
            projection = given(part, kind) or {}
            if kind in ("secret", "configMap"):
                name = str(projection.get("name") or "")
                if not name:
                    errors.append(FieldError.required(f"{here}.{kind}.name"))
                for at, item in enumerate(objects(projection.get("items"))):
                    errors += key_to_path(item, f"{here}.{kind}.items[{at}]")
                    if item.get("path"):
                        errors += once(str(item["path"]), name)
            elif kind == "downwardAPI":
                for item in objects(projection.get("items")):
                    errors += downward_file(item, f"{here}.{kind}")
                    if item.get("path"):
                        errors += once(str(item["path"]), str(item["path"]))
            elif kind == "serviceAccountToken":
                errors += _token(projection, f"{here}.{kind}", path)
            elif kind == "clusterTrustBundle":
                errors += _bundle(projection, f"{here}.{kind}")
                where = str(projection.get("path") or "")
                errors += once(where, where)
            else:
                errors += _certificate(projection, f"{here}.{kind}")
                paths = [str(projection[key]) for key in _CERTIFICATE_PATHS if projection.get(key)]
                for key, where in zip(
                    [key for key in _CERTIFICATE_PATHS if projection.get(key)], paths, strict=True
                ):
                    errors += local_path(where, f"{here}.{kind}.{key}") + once(where, where)
                if not paths:
                    detail = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
                    errors.append(FieldError.required(f"{here}.{kind}", detail))
        if len(kinds) > 1:
            errors.append(FieldError.forbidden(here, "may not specify more than 1 volume type per source"))
    return errors


_PROJECTIONS = (
    "secret",
    "configMap",
    "downwardAPI",
    "serviceAccountToken",
    "clusterTrustBundle",
    "podCertificate",
)
_CERTIFICATE_PATHS = ("credentialBundlePath", "keyPath", "certificateChainPath")


def _token(projection: Object, path: str, volume_path: str) -> Errors:
    errors: Errors = []
    seconds = projection.get("expirationSeconds")
    if seconds is not None and seconds < _TOKEN_S_MIN:
        detail = "may not specify a duration less than 10 minutes"
        errors.append(FieldError.invalid(f"{path}.expirationSeconds", seconds, detail))
    if seconds is not None and seconds > _TOKEN_S_MAX:
        detail = "may not specify a duration larger than 2^32 seconds"
        errors.append(FieldError.invalid(f"{path}.expirationSeconds", seconds, detail))
    # Upstream blames the volume, not the source, for the path.
    where = str(projection.get("path") or "")
    if not where:
        return [*errors, FieldError.required(f"{volume_path}.path")]
    return errors + local_path(where, f"{volume_path}.path")


def _bundle(projection: Object, path: str) -> Errors:
    errors: Errors = []
    name, signer = projection.get("name"), projection.get("signerName")
    selector = given(projection, "labelSelector")
    if name is not None and signer is not None:
        errors.append(FieldError.invalid(path, projection, "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errors.append(FieldError.required(f"{path}.name", "must be a valid object name"))
        of = str(name).rpartition(":")[0].replace(":", "/")
        for message in bundle_name_errors(str(name), of):
            detail = f"not a valid clustertrustbundlename: {message}"
            errors.append(FieldError.invalid(f"{path}.name", name, detail))
        if selector is not None:
            detail = "labelSelector must be unset if name is specified"
            errors.append(FieldError.invalid(f"{path}.labelSelector", selector, detail))
    elif signer is not None:
        if not signer:
            errors.append(FieldError.required(f"{path}.signerName", "must be a valid signer name"))
        errors += signer_errors(f"{path}.signerName", str(signer))
        if selector is not None:
            errors += validation.validate_label_selector(selector, f"{path}.labelSelector")
    else:
        errors.append(FieldError.required(path, "either name or signerName must be specified"))
    where = str(projection.get("path") or "")
    if not where:
        errors.append(FieldError.required(f"{path}.path"))
    return errors + local_path(where, f"{path}.path")


def _certificate(projection: Object, path: str) -> Errors:
    signer = str(projection.get("signerName") or "")
    errors = signer_errors(f"{path}.signerName", signer)
    errors += validate_user_annotations(projection.get("userAnnotations"), f"{path}.userAnnotations")
    key_type = projection.get("keyType") or ""
    if key_type not in _KEY_TYPES:
        errors.append(FieldError.not_supported(f"{path}.keyType", key_type, _KEY_TYPES))
    seconds = projection.get("maxExpirationSeconds")
    if seconds is None:
        return errors
    longest = KUBERNETES_EXPIRATION_S_MAX if is_kubernetes_signer(signer) else EXPIRATION_S_MAX
    where, said = f"{path}.maxExpirationSeconds", "if provided, maxExpirationSeconds must be"
    if seconds < EXPIRATION_S_MIN:
        errors.append(FieldError.invalid(where, seconds, f"{said} >= {EXPIRATION_S_MIN}"))
    if seconds > longest:
        errors.append(FieldError.invalid(where, seconds, f"{said} <= {longest}"))
    return errors


def keyed_files(source: Object, path: str, name: str) -> Errors:
    """Check a volume whose files are the keys of one object, called by the field `name`."""
    errors: Errors = [] if source.get(name) else [FieldError.required(f"{path}.{name}")]
    errors += mode_errors(source, path, "defaultMode")
    for index, item in enumerate(objects(source.get("items"))):
        errors += key_to_path(item, f"{path}.items[{index}]")
    return errors


def downward_files(source: Object, path: str) -> Errors:
    """Check a volume whose files are fields of the pod."""
    errors = mode_errors(source, path, "defaultMode")
    for item in objects(source.get("items")):
        errors += downward_file(item, path)
    return errors
