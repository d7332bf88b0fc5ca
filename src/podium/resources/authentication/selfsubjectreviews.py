"""SelfSubjectReview, authentication.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

SELFSUBJECTREVIEWS = Resource(
    group="authentication.k8s.io",
    version="v1",
    kind="SelfSubjectReview",
    plural="selfsubjectreviews",
    namespaced=False,
    verbs=("create",),
    schema="io.k8s.api.authentication.v1.SelfSubjectReview",
    stored=False,
)
