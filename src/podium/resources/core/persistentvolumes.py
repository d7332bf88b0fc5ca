"""PersistentVolume, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

PERSISTENTVOLUMES = Resource(
    version="v1",
    kind="PersistentVolume",
    plural="persistentvolumes",
    namespaced=False,
    short_names=("pv",),
    schema="io.k8s.api.core.v1.PersistentVolume",
    status=True,
)
