"""What is wrong with the kinds of storage.k8s.io."""

from __future__ import annotations

from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, objects, spec_of


def validate_class(storage_class: Object) -> Errors:
    """Check a StorageClass."""
    errors: Errors = []
    if not storage_class.get("provisioner"):
        errors.append(FieldError.required("provisioner"))
    for key, values in (
        ("reclaimPolicy", ("Delete", "Retain")),
        ("volumeBindingMode", ("Immediate", "WaitForFirstConsumer")),
    ):
        value = storage_class.get(key)
        if value not in values:
            errors.append(FieldError.not_supported(key, value or "", values))
    return errors


def validate_class_update(new: Object, old: Object) -> Errors:
    """Check a changed StorageClass: what it does stays."""
    return immutable(new, old, "parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")


def validate_csi_node(node: Object) -> Errors:
    """Check a CSINode."""
    errors: Errors = []
    seen: set[str] = set()
    for index, driver in enumerate(objects(spec_of(node).get("drivers"))):
        path = f"spec.drivers[{index}]"
        name = str(driver.get("name") or "")
        if not name:
            errors.append(FieldError.required(f"{path}.name"))
        if not driver.get("nodeID"):
            errors.append(FieldError.required(f"{path}.nodeID"))
        if name in seen:
            errors.append(FieldError.duplicate(f"{path}.name", name))
        seen.add(name)
    return errors


def validate_attachment(attachment: Object) -> Errors:
    """Check a VolumeAttachment."""
    spec = spec_of(attachment)
    errors: Errors = [
        FieldError.required(f"spec.{key}") for key in ("attacher", "nodeName") if not spec.get(key)
    ]
    source = spec.get("source") or {}
    if not source.get("inlineVolumeSpec") and not source.get("persistentVolumeName"):
        detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        errors.append(FieldError.required("spec.source", detail))
    return errors


def validate_attachment_update(new: Object, old: Object) -> Errors:
    """Check a changed VolumeAttachment: what is attached where stays."""
    return validate_attachment(new) + immutable(new, old, "spec")
