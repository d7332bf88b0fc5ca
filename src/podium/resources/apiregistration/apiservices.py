"""APIService, apiregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import absent, child, given

SERVICE_PORT = 443


def _defaults(api_service: Object) -> None:
    service = given(child(api_service, "spec"), "service")
    if service is not None:
        absent(service, "port", SERVICE_PORT)
    child(api_service, "status")


def _prepare_create(api_service: Object) -> None:
    api_service["status"] = {}


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
    defaults=_defaults,
    prepare_create=_prepare_create,
)
