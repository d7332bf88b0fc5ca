"""MutatingAdmissionPolicy, admissionregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.admissionregistration import defaults
from podium.resources.admissionregistration.columns import param_kind
from podium.resources.printing import AGE, NAME, column, spec
from podium.resources.twins import deprecated, twin

MUTATINGADMISSIONPOLICIES = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    core_finalizers=False,
    kind="MutatingAdmissionPolicy",
    plural="mutatingadmissionpolicies",
    namespaced=False,
    categories=("api-extensions",),
    schema="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy",
    metadata_again=1,
    compares_metadata=False,
    generation=True,
    defaults=defaults.default_policy,
    columns=(
        NAME,
        column("Mutations", lambda obj: len(spec(obj).get("mutations") or ()), type="integer"),
        column("ParamKind", param_kind),
        AGE,
    ),
    unconditional_update=False,
    validate=deferred.check("admissionregistration.policies", "validate_mutating_policy"),
    validate_update=deferred.update_check(
        "admissionregistration.policies", "validate_mutating_policy_update"
    ),
)

MUTATINGADMISSIONPOLICIES_V1BETA1 = twin(MUTATINGADMISSIONPOLICIES, "v1beta1")

MUTATINGADMISSIONPOLICIES_V1ALPHA1 = twin(
    MUTATINGADMISSIONPOLICIES,
    "v1alpha1",
    deprecation=deprecated(
        "admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicy", "1.35", "1.38"
    ),
)
