"""MutatingAdmissionPolicyBinding, admissionregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.admissionregistration import defaults
from podium.resources.admissionregistration.columns import param_ref
from podium.resources.printing import AGE, NAME, column, spec
from podium.resources.twins import deprecated, twin

MUTATINGADMISSIONPOLICYBINDINGS = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    core_finalizers=False,
    kind="MutatingAdmissionPolicyBinding",
    plural="mutatingadmissionpolicybindings",
    namespaced=False,
    categories=("api-extensions",),
    schema="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding",
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
    validate=deferred.check("admissionregistration.policies", "validate_mutating_binding"),
    validate_update=deferred.check_new("admissionregistration.policies", "validate_mutating_binding"),
)

MUTATINGADMISSIONPOLICYBINDINGS_V1BETA1 = twin(MUTATINGADMISSIONPOLICYBINDINGS, "v1beta1")

MUTATINGADMISSIONPOLICYBINDINGS_V1ALPHA1 = twin(
    MUTATINGADMISSIONPOLICYBINDINGS,
    "v1alpha1",
    deprecation=deprecated(
        "admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicyBinding", "1.35", "1.38"
    ),
)
