"""CertificateSigningRequest, certificates.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource, Subresource
from podium.machinery.table import duration
from podium.machinery.validation import path_segment_errors
from podium.resources import deferred
from podium.resources.defaulting import child, items
from podium.resources.printing import AGE, NAME, NONE, column
from podium.resources.printing import spec as spec_of
from podium.resources.printing import status as status_of
from podium.resources.selecting import fields


def _defaults(request: Object) -> None:
    child(request, "spec")
    child(request, "status")


def _prepare_create(request: Object) -> None:
    request["status"] = {}


def _prepare_update(new: Object, old: Object) -> None:
    """Neither the request nor who made it changes, and verdicts come by the subresources only."""
    new["spec"] = dict(old.get("spec") or {})
    new["status"] = dict(old.get("status") or {})


def _state(request: Object) -> str:
    types = {condition.get("type") for condition in items(status_of(request), "conditions")}
    state = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    if "Failed" in types:
        state += ",Failed"
    return f"{state},Issued" if status_of(request).get("certificate") else state


def _requested_duration(request: Object) -> str:
    seconds = spec_of(request).get("expirationSeconds")
    return NONE if seconds is None else duration(seconds)


CERTIFICATESIGNINGREQUESTS = Resource(
    group="certificates.k8s.io",
    version="v1",
    kind="CertificateSigningRequest",
    name_errors=path_segment_errors,
    plural="certificatesigningrequests",
    namespaced=False,
    short_names=("csr",),
    schema="io.k8s.api.certificates.v1.CertificateSigningRequest",
    metadata_again=1,
    status_metadata_again=1,
    status=True,
    subresources=(
        Subresource(name="approval", kind="CertificateSigningRequest", verbs=("get", "patch", "update")),
    ),
    defaults=_defaults,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    columns=(
        NAME,
        AGE,
        column("SignerName", lambda obj: spec_of(obj).get("signerName") or NONE),
        column("Requestor", lambda obj: spec_of(obj).get("username") or ""),
        column("RequestedDuration", _requested_duration),
        column("Condition", _state),
    ),
    selectable=fields("spec.signerName"),
    validate=deferred.check("certificates.validation", "validate_request"),
    validate_update=deferred.update_check("certificates.validation", "validate_update"),
    validate_status_update=deferred.update_check("certificates.validation", "validate_status"),
    validate_subresources={"approval": deferred.update_check("certificates.validation", "validate_approval")},
)
