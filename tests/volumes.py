"""Volumes, claims and classes for tests, in few words."""

from __future__ import annotations

from typing import Any

from podium.machinery.errors import Object


def volume(name: str = "v", size: str = "5Gi", *, of: Object | None = None, **fields: Any) -> Object:
    """A volume; `of` binds it. Fields of metadata and status go by name, the others are the spec's."""
    metadata: Object = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}
    for field in ("annotations", "labels", "finalizers", "deletionTimestamp"):
        if field in fields:
            metadata[field] = fields.pop(field)
    status = {"phase": fields.pop("phase", "Bound" if of else "Available")}
    spec: Object = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
        "hostPath": {"path": "/data", "type": ""},
        **fields,
    }
    if of is not None:
        spec["claimRef"] = reference(of)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def claim(name: str = "c", size: str = "1Gi", **fields: Any) -> Object:
    metadata: Object = {
        "name": name,
        "namespace": "default",
        "uid": fields.pop("uid", f"uid-{name}"),
        "resourceVersion": "1",
    }
    if "annotations" in fields:
        metadata["annotations"] = fields.pop("annotations")
    status: Object = {"phase": fields.pop("phase", "Pending"), **fields.pop("status", {})}
    spec: Object = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}},
        "volumeMode": "Filesystem",
        **fields,
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def reference(of: Object, **changes: Any) -> Object:
    metadata = of["metadata"]
    return {
        "kind": "PersistentVolumeClaim",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": "v1",
        "resourceVersion": metadata["resourceVersion"],
        **changes,
    }


def storage_class(name: str, provisioner: str = "example.com/disks", **fields: Any) -> Object:
    default = fields.pop("default", False)
    mark = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "uid": f"uid-{name}", "annotations": mark},
        "provisioner": provisioner,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
        **fields,
    }
