"""LocalSubjectAccessReview, authorization.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

LOCALSUBJECTACCESSREVIEWS = Resource(
    group="authorization.k8s.io",
    version="v1",
    kind="LocalSubjectAccessReview",
    plural="localsubjectaccessreviews",
    namespaced=True,
    verbs=("create",),
    schema="io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    stored=False,
)
