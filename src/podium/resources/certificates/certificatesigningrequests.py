"""CertificateSigningRequest, certificates.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource, Subresource

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
)
