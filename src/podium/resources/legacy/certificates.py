"""CertificateSigningRequest, certificates.k8s.io/v1beta1: a request that names no signer gets one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podium.machinery.derived import Change, Package
from podium.machinery.errors import FieldError, Object
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from podium.resources.defaulting import blank, child, items
from podium.resources.legacy.older import older
from podium.resources.pem import certificate_request, signing_request

if TYPE_CHECKING:
    from cryptography.x509 import CertificateSigningRequest

PACKAGE = Package(
    name="io.k8s.api.certificates.v1beta1",
    group="certificates.k8s.io",
    version="v1beta1",
    bases=("io.k8s.api.certificates.v1",),
    changes={
        "CertificateSigningRequestSpec": Change(optional=("signerName",), unusual="signerName*"),
    },
)

_UNKNOWN = "kubernetes.io/legacy-unknown"
_KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
_KUBELET_SERVING = "kubernetes.io/kubelet-serving"
_NODES, _NODE = "system:nodes", "system:node:"


def signer_of(spec: Object) -> str:
    """Return the signer that a request is for, going by who asks for what."""
    request = _parsed(spec.get("request"))
    if request is None:
        return _UNKNOWN
    usages = set(spec.get("usages") or ()) - {"key encipherment"}
    names, others = _alternative_names(request)
    if not _asks_as_node(request) or others:
        return _UNKNOWN
    if usages == {"digital signature", "client auth"} and not names:
        return _KUBELET_CLIENT
    if usages == {"digital signature", "server auth"} and names:
        return _KUBELET_SERVING
    return _UNKNOWN


def _parsed(encoded: object) -> CertificateSigningRequest | None:
    # Only requests that name no signer load cryptography for it.
    try:
        return certificate_request(signing_request(encoded))
    except ValueError:
        return None


def _asks_as_node(request: CertificateSigningRequest) -> bool:
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    organizations = [one.value for one in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    names = [one.value for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return organizations == [_NODES] and bool(names) and str(names[-1]).startswith(_NODE)


def _alternative_names(request: CertificateSigningRequest) -> tuple[int, int]:
    """Return how many names and addresses the request has, and how many other alternative names."""
    from cryptography import x509  # noqa: PLC0415

    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return 0, 0
    hosts = [one for one in found if isinstance(one, x509.DNSName | x509.IPAddress)]
    return len(hosts), len(list(found)) - len(hosts)


def _defaults(request: Object) -> None:
    spec = child(request, "spec")
    if spec.get("usages") is None:
        spec["usages"] = ["digital signature", "key encipherment"]
    if spec.get("signerName") is None:
        spec["signerName"] = signer_of(spec)
    for condition in items(child(request, "status"), "conditions"):
        blank(condition, "status", "True")
    CERTIFICATESIGNINGREQUESTS.defaults(request)


def _tolerates(error: FieldError) -> bool:
    """The old signer, any usages, and verdicts of any kind are allowed."""
    if error.field.startswith("spec.usages"):
        return True
    if error.field == "spec.signerName":
        return "legacy signerName" in error.message
    if error.field.startswith("status.conditions"):
        return error.reason == "FieldValueDuplicate" or "mutually exclusive" in error.message
    return False


CERTIFICATESIGNINGREQUESTS_V1BETA1 = older(
    CERTIFICATESIGNINGREQUESTS,
    PACKAGE,
    deprecated=(1, 19),
    removed=(1, 22),
    defaults=_defaults,
    tolerates=_tolerates,
)

PACKAGES = (PACKAGE,)
RESOURCES = (CERTIFICATESIGNINGREQUESTS_V1BETA1,)
