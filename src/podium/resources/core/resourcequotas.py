"""ResourceQuota, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import child


def _defaults(quota: Object) -> None:
    child(quota, "spec")
    child(quota, "status")


def _prepare_create(quota: Object) -> None:
    quota["status"] = {}


RESOURCEQUOTAS = Resource(
    version="v1",
    kind="ResourceQuota",
    plural="resourcequotas",
    namespaced=True,
    short_names=("quota",),
    schema="io.k8s.api.core.v1.ResourceQuota",
    status=True,
    create_on_update=True,
    delete_returns_object=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
)
