"""CertificateApproval, CertificateSigning, CertificateSubjectRestriction: who may decide on certificate
requests, and what may not be asked for."""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused, spec_of
from podium.apiserver.authn.der import ORGANIZATION, attributes_of, elements
from podium.apiserver.chain import MASTERS, Attributes, Authorizer, RequestInfo
from podium.machinery.errors import Object
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from podium.resources.pem import signing_request

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


class CertificateApproval(Plugin):
    """Only those may approve or deny who may `approve` for the signer."""

    name = "CertificateApproval"
    resources = (CERTIFICATESIGNINGREQUESTS,)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        request = concerns(attributes, CERTIFICATESIGNINGREQUESTS, "UPDATE", subresource="approval")
        if request is None:
            return
        signer = spec_of(attributes.old_object or request).get("signerName") or ""
        if not await may_for_signer(self._authorizer, attributes, "approve", signer):
            raise refused(attributes, f'user not permitted to approve requests with signerName "{signer}"')


class CertificateSigning(Plugin):
    """Only those may set the certificate who may `sign` for the signer."""

    name = "CertificateSigning"
    resources = (CERTIFICATESIGNINGREQUESTS,)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        request = concerns(attributes, CERTIFICATESIGNINGREQUESTS, "UPDATE", subresource="status")
        if request is None:
            return
        old = attributes.old_object or {}
        if _outcome(request) == _outcome(old):
            return
        signer = (old.get("spec") or {}).get("signerName") or ""
        if not await may_for_signer(self._authorizer, attributes, "sign", signer):
            raise refused(attributes, f'user not permitted to sign requests with signerName "{signer}"')


class CertificateSubjectRestriction(Plugin):
    """Nobody may ask for a client certificate that makes its bearer a master of the cluster."""

    name = "CertificateSubjectRestriction"
    resources = (CERTIFICATESIGNINGREQUESTS,)

    async def validate(self, attributes: Attributes) -> None:
        request = concerns(attributes, CERTIFICATESIGNINGREQUESTS, "CREATE")
        if request is None or spec_of(request).get("signerName") != CLIENT_SIGNER:
            return
        try:
            subject = requested_subject(spec_of(request).get("request") or "")
        except ValueError as error:
            raise refused(attributes, f"failed to parse CSR: {error}") from error
        if (ORGANIZATION, MASTERS) in subject:
            raise refused(attributes, f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed")


def requested_subject(request: str) -> list[tuple[bytes, str]]:
    """Return the attributes of the subject of a PKCS#10 request (base64 of PEM, as on the wire).

    Raises ValueError.
    """
    try:
        (_, whole) = next(elements(signing_request(request)))
        (_, info) = next(elements(whole))
        # version, subject, public key, attributes
        return list(attributes_of(list(elements(info))[1][1]))
    except (UnicodeDecodeError, IndexError, StopIteration) as error:
        raise ValueError("the request is no PKCS#10") from error


def _outcome(request: Object) -> tuple[object, object]:
    status = request.get("status") or {}
    failed = [c for c in status.get("conditions") or () if c.get("type") == "Failed"]
    return status.get("certificate"), failed


async def may_for_signer(authorizer: Authorizer, attributes: Attributes, verb: str, signer: str) -> bool:
    """Tell whether the user may act for a signer: for it alone, or for its whole domain (`example.com/*`)."""
    for name in (signer, signer.partition("/")[0] + "/*"):
        info = RequestInfo(
            verb=verb,
            path="",
            is_resource=True,
            api_prefix="apis",
            api_group="certificates.k8s.io",
            api_version="*",
            resource="signers",
            name=name,
        )
        if (await authorizer.authorize(attributes.user, info)).allowed:
            return True
    return False
