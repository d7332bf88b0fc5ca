"""PodCertificateRequest, certificates.k8s.io/v1beta1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, child, items
from podium.resources.printing import NAME, column, map_text, spec, status
from podium.resources.selecting import fields

_STATES = ("Issued", "Denied", "Failed")


def _defaults(request: Object) -> None:
    absent(child(request, "spec"), "maxExpirationSeconds", 86400)
    child(request, "status")


def _prepare_create(request: Object) -> None:
    request["status"] = {}


def _state(request: Object) -> str:
    types = [str(condition.get("type")) for condition in items(status(request), "conditions")]
    return next((kind for kind in reversed(types) if kind in _STATES), "Pending")


PODCERTIFICATEREQUESTS = Resource(
    group="certificates.k8s.io",
    version="v1beta1",
    kind="PodCertificateRequest",
    plural="podcertificaterequests",
    namespaced=True,
    schema="io.k8s.api.certificates.v1beta1.PodCertificateRequest",
    gate="PodCertificateRequest",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("PodName", lambda obj: spec(obj).get("podName") or ""),
        column("ServiceAccountName", lambda obj: spec(obj).get("serviceAccountName") or ""),
        column("NodeName", lambda obj: spec(obj).get("nodeName") or ""),
        column("SignerName", lambda obj: spec(obj).get("signerName") or ""),
        column("State", _state),
        column(
            "UnverifiedUserAnnotations",
            lambda obj: map_text(spec(obj).get("unverifiedUserAnnotations")),
            wide=True,
        ),
    ),
    selectable=fields("spec.signerName", "spec.podName", "spec.nodeName"),
    validate=deferred.check("certificates.pod_request_validation", "validate_request"),
    validate_update=deferred.update_check("certificates.pod_request_validation", "validate_update"),
    validate_status_update=deferred.update_check("certificates.pod_request_validation", "validate_status"),
    unconditional_update=False,
)
