"""Certificate signing requests: what is approved for one of the built-in signers gets its certificate.

A request that its signer may not sign is marked Failed. Upstream: pkg/controller/certificates/signer.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from podium.base import pki
from podium.base.clock import rfc3339
from podium.machinery.errors import Object
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from podium.resources.pem import signing_request
from podium.runtime.controller import Context, Controller, Watch, own_key

if TYPE_CHECKING:
    from cryptography import x509

NAME = "certificatesigningrequest-signing-controller"
NODES_GROUP = "system:nodes"
NODE_PREFIX = "system:node:"
DEFAULT_DURATION_S = 365 * 24 * 3600.0
DURATION_MIN_S = 600.0

CLIENT = frozenset(("digital signature", "key encipherment", "client auth"))
SERVER = frozenset(("digital signature", "key encipherment", "server auth"))
SIGNERS = frozenset(
    (
        "kubernetes.io/kube-apiserver-client",
        "kubernetes.io/kube-apiserver-client-kubelet",
        "kubernetes.io/kubelet-serving",
        "kubernetes.io/legacy-unknown",
    )
)
"""The built-in ones."""


def waits(request: Object) -> bool:
    """Say whether a request is approved, ours, and neither signed nor failed yet."""
    status: Object = request.get("status") or {}
    true = {c.get("type") for c in status.get("conditions") or () if c.get("status", "True") == "True"}
    approved = "Approved" in true and not true & {"Denied", "Failed"}
    return approved and not status.get("certificate") and request["spec"].get("signerName") in SIGNERS


def why_not(request: Object, parsed: x509.CertificateSigningRequest) -> str:
    """Return why the request's signer may not sign it; empty: it may."""
    spec = request["spec"]
    usages = frozenset(spec.get("usages") or ())
    match spec["signerName"]:
        case "kubernetes.io/kube-apiserver-client":
            return _not_for_clients(spec.get("usages") or ())
        case "kubernetes.io/kube-apiserver-client-kubelet":
            return not_of_a_kubelet(usages, parsed)
        case "kubernetes.io/kubelet-serving":
            return _not_served_by_a_kubelet(usages, parsed)
    return ""


def _not_for_clients(usages: Iterable[str]) -> str:
    for usage in usages:
        if usage not in CLIENT:
            return f"invalid usage for client certificate: {usage}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"


def not_of_a_kubelet(usages: frozenset[str], parsed: x509.CertificateSigningRequest) -> str:
    """Return why this is no request of a kubelet for its own certificate; empty: it is."""
    if _organizations(parsed) != [NODES_GROUP]:
        return "subject organization is not system:nodes"
    names = _alternatives(parsed)
    for kind in ("DNS", "Email", "IP", "URI"):
        if kind in names:
            return f"{kind} subjectAltNames are not allowed"
    if not common_name(parsed).startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return _other_usages(usages, CLIENT)


def _not_served_by_a_kubelet(usages: frozenset[str], parsed: x509.CertificateSigningRequest) -> str:
    if _organizations(parsed) != [NODES_GROUP]:
        return "subject organization is not system:nodes"
    names = _alternatives(parsed)
    if not names & {"DNS", "IP"}:
        return "DNS or IP subjectAltName is required"
    for kind in ("Email", "URI"):
        if kind in names:
            return f"{kind} subjectAltNames are not allowed"
    why = _other_usages(usages, SERVER)
    if not why and not common_name(parsed).startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    return why


def _other_usages(usages: frozenset[str], wanted: frozenset[str]) -> str:
    """Keys that cannot encipher, as all but RSA's, need not claim to."""
    if usages in (wanted, wanted - {"key encipherment"}):
        return ""
    return f"usages did not match [{' '.join(sorted(wanted))}]"


def _organizations(parsed: x509.CertificateSigningRequest) -> list[str]:
    from cryptography.x509.oid import NameOID  # noqa: PLC0415 - costs start-up time, and most clusters have none

    return [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]


def common_name(parsed: x509.CertificateSigningRequest) -> str:
    """Return the subject's common name; the last, should there be several."""
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    names = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return names[-1] if names else ""


def _alternatives(parsed: x509.CertificateSigningRequest) -> frozenset[str]:
    """Return which kinds of alternative names are asked for."""
    from cryptography import x509  # noqa: PLC0415

    kinds: dict[type, str] = {
        x509.DNSName: "DNS",
        x509.RFC822Name: "Email",
        x509.IPAddress: "IP",
        x509.UniformResourceIdentifier: "URI",
    }
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(kinds.get(type(name), "other") for name in names)


def lifetime(request: Object, limit_s: float) -> timedelta:
    """Return how long the certificate is to last."""
    asked = request["spec"].get("expirationSeconds")
    return timedelta(seconds=limit_s if asked is None else min(limit_s, max(DURATION_MIN_S, int(asked))))


def csr_signing(authorities: Mapping[str, pki.KeyPair], duration_s: float = DEFAULT_DURATION_S) -> Controller:
    """Return the controller that signs with these authorities, each for the signer of its name."""

    async def reconcile(context: Context, key: str) -> float | None:
        request = context.caches[CERTIFICATESIGNINGREQUESTS].get(key)
        if request is None or not waits(request):
            return None
        authority = authorities.get(request["spec"]["signerName"])
        if authority is None:
            return None
        from cryptography import x509  # noqa: PLC0415

        now = context.clock.now()
        status: Object = dict(request["status"])
        parsed = x509.load_der_x509_csr(signing_request(request["spec"]["request"]))
        if reason := why_not(request, parsed):
            failed = {
                "type": "Failed",
                "status": "True",
                "reason": "SignerValidationFailure",
                "message": reason,
            }
            times = {"lastUpdateTime": rfc3339(now), "lastTransitionTime": rfc3339(now)}
            status["conditions"] = [*status["conditions"], failed | times]
        else:
            usages = request["spec"].get("usages") or ()
            signed = pki.sign(
                authority, parsed, usages=usages, lifetime=lifetime(request, duration_s), now=now
            )
            status["certificate"] = base64.b64encode(signed).decode()
        await context.client.update(
            CERTIFICATESIGNINGREQUESTS, {**request, "status": status}, subresource="status"
        )
        return None

    return Controller(
        name=NAME,
        service_account="certificate-controller",
        watches=(Watch(resource=CERTIFICATESIGNINGREQUESTS, keys_of=own_key),),
        reconcile=reconcile,
    )
