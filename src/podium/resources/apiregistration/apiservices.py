"""APIService, apiregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

APISERVICES = Resource(
    group="apiregistration.k8s.io",
    version="v1",
    kind="APIService",
    plural="apiservices",
    namespaced=False,
    categories=("api-extensions",),
    schema="io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
    storage_prefix="apiregistration.k8s.io/apiservices",
    status=True,
)
