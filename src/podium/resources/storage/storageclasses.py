"""StorageClass, storage.k8s.io/v1."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, drop_zero
from podium.resources.printing import AGE, column, name


def _defaults(storage_class: Object) -> None:
    absent(storage_class, "reclaimPolicy", "Delete")
    absent(storage_class, "volumeBindingMode", "Immediate")
    drop_zero(storage_class, "parameters", "mountOptions", "allowedTopologies")


DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)


def is_default(storage_class: Object) -> bool:
    """Say whether claims that name no class get this one."""
    annotations = (storage_class.get("metadata") or {}).get("annotations") or {}
    return any(annotations.get(key) == "true" for key in DEFAULT_ANNOTATIONS)


def newest_default(classes: Iterable[Object], marks: Collection[str] = DEFAULT_ANNOTATIONS) -> Object | None:
    """Return the class that is marked as the default; of several the newest, then the first by name."""
    defaults = [c for c in classes if any(meta.annotations(c).get(mark) == "true" for mark in marks)]
    defaults.sort(key=meta.name)
    return max(defaults, key=lambda c: meta.metadata(c).get("creationTimestamp") or "", default=None)


def _name(storage_class: Object) -> str:
    return name(storage_class) + (" (default)" if is_default(storage_class) else "")


STORAGECLASSES = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
    schema="io.k8s.api.storage.v1.StorageClass",
    metadata_again=1,
    defaults=_defaults,
    columns=(
        column("Name", _name, format="name"),
        column("Provisioner", lambda obj: obj.get("provisioner") or ""),
        column("ReclaimPolicy", lambda obj: obj.get("reclaimPolicy") or "Delete"),
        column("VolumeBindingMode", lambda obj: obj.get("volumeBindingMode") or "Immediate"),
        column("AllowVolumeExpansion", lambda obj: bool(obj.get("allowVolumeExpansion"))),
        AGE,
    ),
    delete_returns_object=True,
    warnings=deferred.warnings("warnings", "storage_class_warnings"),
    validate=deferred.check("storage.validation", "validate_class"),
    validate_update=deferred.update_check("storage.validation", "validate_class_update"),
)
