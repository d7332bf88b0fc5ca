"""MutatingAdmissionPolicy, admissionregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.resources.admissionregistration import defaults

MUTATINGADMISSIONPOLICIES = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="MutatingAdmissionPolicy",
    plural="mutatingadmissionpolicies",
    namespaced=False,
    categories=("api-extensions",),
    schema="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy",
    generation=True,
    defaults=defaults.default_policy,
)
