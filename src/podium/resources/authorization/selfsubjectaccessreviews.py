"""SelfSubjectAccessReview, authorization.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

SELFSUBJECTACCESSREVIEWS = Resource(
    group="authorization.k8s.io",
    version="v1",
    kind="SelfSubjectAccessReview",
    plural="selfsubjectaccessreviews",
    namespaced=False,
    verbs=("create",),
    schema="io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    stored=False,
)
