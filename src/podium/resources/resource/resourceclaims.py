"""ResourceClaim, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import child
from podium.resources.resource import defaults


def _defaults(claim: Object) -> None:
    defaults.default_claim_spec(child(claim, "spec"))
    child(claim, "status")


def _prepare_create(claim: Object) -> None:
    claim["status"] = {}


RESOURCECLAIMS = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceClaim",
    plural="resourceclaims",
    namespaced=True,
    schema="io.k8s.api.resource.v1.ResourceClaim",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
)
