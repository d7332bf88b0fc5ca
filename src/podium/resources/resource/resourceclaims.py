"""ResourceClaim, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME, column, deleting, of_stored, status
from podium.resources.resource import defaults, v1beta1
from podium.resources.resource.gates import CLAIM_FIELDS
from podium.resources.twins import deprecated, twin


def _defaults(claim: Object) -> None:
    defaults.default_claim_spec(child(claim, "spec"))
    child(claim, "status")


def _prepare_create(claim: Object) -> None:
    claim["status"] = {}


def _state(claim: Object) -> str:
    states = ["deleted"] if deleting(claim) else []
    if status(claim).get("allocation") is not None:
        states.append("allocated")
        if status(claim).get("reservedFor"):
            states.append("reserved")
    elif not states:
        states.append("pending")
    return ",".join(states)


RESOURCECLAIMS = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceClaim",
    plural="resourceclaims",
    namespaced=True,
    schema="io.k8s.api.resource.v1.ResourceClaim",
    metadata_again=1,
    gated=CLAIM_FIELDS,
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("State", _state),
        AGE,
    ),
    delete_returns_object=True,
    validate=deferred.check("resource.validation", "validate_claim"),
    validate_update=deferred.update_check("resource.validation", "validate_claim_update"),
    validate_status_update=deferred.update_check("resource.status_validation", "validate_claim_status"),
)

RESOURCECLAIMS_V1BETA2 = twin(
    RESOURCECLAIMS,
    "v1beta2",
    deprecation=deprecated("resource.k8s.io/v1beta2", "ResourceClaim", "1.36", "1.39"),
)

RESOURCECLAIMS_V1BETA1 = twin(
    RESOURCECLAIMS,
    "v1beta1",
    deprecation=deprecated("resource.k8s.io/v1beta1", "ResourceClaim", "1.35", "1.38"),
    to_storage=v1beta1.claim_to_v1,
    from_storage=v1beta1.claim_from_v1,
    defaults=v1beta1.default_claim,
    columns=of_stored(RESOURCECLAIMS.columns, v1beta1.claim_to_v1),
)
