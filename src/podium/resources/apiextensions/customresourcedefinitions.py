"""CustomResourceDefinition, apiextensions.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

CUSTOMRESOURCEDEFINITIONS = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    schema="io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    storage_prefix="apiextensions.k8s.io/customresourcedefinitions",
    status=True,
    generation=True,
)
