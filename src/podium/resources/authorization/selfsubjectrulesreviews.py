"""SelfSubjectRulesReview, authorization.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

SELFSUBJECTRULESREVIEWS = Resource(
    group="authorization.k8s.io",
    version="v1",
    kind="SelfSubjectRulesReview",
    plural="selfsubjectrulesreviews",
    namespaced=False,
    verbs=("create",),
    schema="io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    stored=False,
)
