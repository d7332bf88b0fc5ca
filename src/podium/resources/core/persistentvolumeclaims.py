"""PersistentVolumeClaim, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

PERSISTENTVOLUMECLAIMS = Resource(
    version="v1",
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    namespaced=True,
    short_names=("pvc",),
    schema="io.k8s.api.core.v1.PersistentVolumeClaim",
    status=True,
    delete_returns_object=True,
)
