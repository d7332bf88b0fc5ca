"""ValidatingAdmissionPolicyBinding, admissionregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.admissionregistration import defaults
from podium.resources.admissionregistration.columns import param_ref
from podium.resources.printing import AGE, NAME, column, spec

VALIDATINGADMISSIONPOLICYBINDINGS = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    core_finalizers=False,
    kind="ValidatingAdmissionPolicyBinding",
    plural="validatingadmissionpolicybindings",
    namespaced=False,
    categories=("api-extensions",),
    schema="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    metadata_again=1,
    compares_metadata=False,
    generation=True,
    defaults=defaults.default_policy_binding,
    columns=(
        NAME,
        column("PolicyName", lambda obj: spec(obj).get("policyName") or ""),
        column("ParamRef", param_ref),
        AGE,
    ),
    unconditional_update=False,
    validate=deferred.check("admissionregistration.policies", "validate_validating_binding"),
    validate_update=deferred.check_new("admissionregistration.policies", "validate_validating_binding"),
)
