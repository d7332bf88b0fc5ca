"""ValidatingAdmissionPolicy, admissionregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.admissionregistration import defaults
from podium.resources.admissionregistration.columns import param_kind
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME, column, spec


def _defaults(policy: Object) -> None:
    defaults.default_policy(policy)
    child(policy, "status")


def _prepare_create(policy: Object) -> None:
    policy["status"] = {}


VALIDATINGADMISSIONPOLICIES = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    core_finalizers=False,
    kind="ValidatingAdmissionPolicy",
    plural="validatingadmissionpolicies",
    namespaced=False,
    categories=("api-extensions",),
    schema="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
    metadata_again=1,
    compares_metadata=False,
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Validations", lambda obj: len(spec(obj).get("validations") or ()), type="integer"),
        column("ParamKind", param_kind),
        AGE,
    ),
    unconditional_update=False,
    validate=deferred.check("admissionregistration.policies", "validate_validating_policy"),
    validate_update=deferred.update_check(
        "admissionregistration.policies", "validate_validating_policy_update"
    ),
    validate_status_update=deferred.update_check(
        "admissionregistration.policies", "validate_validating_policy_status"
    ),
)
