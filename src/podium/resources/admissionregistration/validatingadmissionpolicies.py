"""ValidatingAdmissionPolicy, admissionregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

VALIDATINGADMISSIONPOLICIES = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="ValidatingAdmissionPolicy",
    plural="validatingadmissionpolicies",
    namespaced=False,
    categories=("api-extensions",),
    schema="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
    status=True,
    generation=True,
)
