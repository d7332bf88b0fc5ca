"""CertificateSigningRequest, certificates.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource, Subresource
from podium.resources.defaulting import child


def _defaults(request: Object) -> None:
    child(request, "spec")
    child(request, "status")


def _prepare_create(request: Object) -> None:
    request["status"] = {}


def _prepare_update(new: Object, old: Object) -> None:
    """Neither the request nor who made it changes, and verdicts come by the subresources only."""
    new["spec"] = dict(old.get("spec") or {})
    new["status"] = dict(old.get("status") or {})


CERTIFICATESIGNINGREQUESTS = Resource(
    group="certificates.k8s.io",
    version="v1",
    kind="CertificateSigningRequest",
    plural="certificatesigningrequests",
    namespaced=False,
    short_names=("csr",),
    schema="io.k8s.api.certificates.v1.CertificateSigningRequest",
    status=True,
    subresources=(
        Subresource(name="approval", kind="CertificateSigningRequest", verbs=("get", "patch", "update")),
    ),
    defaults=_defaults,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
)
