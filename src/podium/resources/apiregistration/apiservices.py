"""APIService, apiregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.validation import path_segment_errors
from podium.resources import deferred
from podium.resources.defaulting import absent, child, given
from podium.resources.printing import AGE, NAME, column, condition
from podium.resources.printing import spec as spec_of

SERVICE_PORT = 443


def _defaults(api_service: Object) -> None:
    service = given(child(api_service, "spec"), "service")
    if service is not None:
        absent(service, "port", SERVICE_PORT)
    child(api_service, "status")


def _prepare_create(api_service: Object) -> None:
    """What this server answers itself is available from the start."""
    api_service["status"] = {}
    if given(spec_of(api_service), "service") is None:
        created = str(api_service["metadata"].get("creationTimestamp") or "")
        api_service["status"]["conditions"] = [local_condition(created)]


def local_condition(now: str) -> Object:
    """Return the condition of an APIService that needs no other server."""
    return {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "Local",
        "message": "Local APIServices are always available",
    }


def _service(api_service: Object) -> str:
    service = given(spec_of(api_service), "service")
    return "Local" if service is None else f"{service.get('namespace') or ''}/{service.get('name') or ''}"


def _available(api_service: Object) -> str:
    available = condition(api_service, "Available")
    if available is None:
        return "Unknown"
    state = str(available.get("status"))
    return state if state == "True" else f"{state} ({available.get('reason') or ''})"


APISERVICES = Resource(
    group="apiregistration.k8s.io",
    version="v1",
    core_finalizers=False,
    kind="APIService",
    plural="apiservices",
    namespaced=False,
    categories=("api-extensions",),
    schema="io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
    metadata_again=1,
    storage_prefix="apiregistration.k8s.io/apiservices",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    validate=deferred.check("apiregistration.validation", "validate_api_service"),
    validate_update=deferred.check_new("apiregistration.validation", "validate_api_service"),
    validate_status_update=deferred.update_check("apiregistration.validation", "validate_api_service_status"),
    columns=(
        NAME,
        column("Service", _service),
        column("Available", _available),
        AGE,
    ),
    unconditional_update=False,
    name_errors=path_segment_errors,
)
