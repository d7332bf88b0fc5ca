"""TokenReview, authentication.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

TOKENREVIEWS = Resource(
    group="authentication.k8s.io",
    version="v1",
    kind="TokenReview",
    plural="tokenreviews",
    namespaced=False,
    verbs=("create",),
    schema="io.k8s.api.authentication.v1.TokenReview",
    stored=False,
)
