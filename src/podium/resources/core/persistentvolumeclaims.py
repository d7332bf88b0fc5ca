"""PersistentVolumeClaim, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core import volumes
from podium.resources.defaulting import blank, child, drop_zero


def _defaults(claim: Object) -> None:
    spec = child(claim, "spec")
    volumes.default_claim_spec(spec)
    drop_zero(spec, "volumeName")
    blank(child(claim, "status"), "phase", "Pending")


def _prepare_create(claim: Object) -> None:
    claim["status"] = {"phase": "Pending"}


PERSISTENTVOLUMECLAIMS = Resource(
    version="v1",
    kind="PersistentVolumeClaim",
    plural="persistentvolumeclaims",
    namespaced=True,
    short_names=("pvc",),
    schema="io.k8s.api.core.v1.PersistentVolumeClaim",
    status=True,
    delete_returns_object=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
)
