"""ServiceCIDR, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME, column, spec
from podium.resources.twins import deprecated, twin


def _defaults(service_cidr: Object) -> None:
    child(service_cidr, "spec")
    child(service_cidr, "status")


def _prepare_create(service_cidr: Object) -> None:
    service_cidr["status"] = {}


SERVICECIDRS = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="ServiceCIDR",
    plural="servicecidrs",
    namespaced=False,
    schema="io.k8s.api.networking.v1.ServiceCIDR",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("CIDRs", lambda obj: ",".join(spec(obj).get("cidrs") or ())),
        AGE,
    ),
    validate=deferred.check("networking.validation", "validate_service_cidr"),
    validate_update=deferred.update_check("networking.validation", "validate_service_cidr_update"),
)

SERVICECIDRS_V1BETA1 = twin(
    SERVICECIDRS,
    "v1beta1",
    deprecation=deprecated("networking.k8s.io/v1beta1", "ServiceCIDR", "1.34", "1.37"),
)
