"""Certificate signing requests: what is approved for one of the built-in signers gets its certificate.

A request that its signer may not sign is marked Failed. Upstream: pkg/controller/certificates/signer.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
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

_CLIENT = frozenset(("digital signature", "key encipherment", "client auth"))
_SERVER = frozenset(("digital signature", "key encipherment", "server auth"))
SIGNERS: Mapping[str, frozenset[str] | None] = {
    "kubernetes.io/kube-apiserver-client": _CLIENT,
    "kubernetes.io/kube-apiserver-client-kubelet": _CLIENT,
    "kubernetes.io/kubelet-serving": _SERVER,
    "kubernetes.io/legacy-unknown": None,
}
"""The usages that each signer signs for; None: any."""


def waits(request: Object) -> bool:
    """Say whether a request is approved, ours, and neither signed nor failed yet."""
    status: Object = request.get("status") or {}
    true = {c.get("type") for c in status.get("conditions") or () if c.get("status", "True") == "True"}
    approved = "Approved" in true and not true & {"Denied", "Failed"}
    return approved and not status.get("certificate") and request["spec"].get("signerName") in SIGNERS


def why_not(request: Object, parsed: x509.CertificateSigningRequest) -> str:
    """Return why the request's signer may not sign it; empty: it may."""
    spec = request["spec"]
    signer, usages = spec["signerName"], set(spec.get("usages") or ())
    allowed = SIGNERS[signer]
    if allowed is None:
        return ""
    purpose = "server auth" if allowed is _SERVER else "client auth"
    if usages - allowed or purpose not in usages:
        return f"usages did not match {sorted(allowed)}"
    return not_of_a_node(request, parsed) if signer != "kubernetes.io/kube-apiserver-client" else ""


def not_of_a_node(request: Object, parsed: x509.CertificateSigningRequest) -> str:
    """Return why the certificate asked for is not a node's; empty: it is."""
    from cryptography import x509  # noqa: PLC0415 - costs start-up time, and most clusters have no requests
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    groups = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    names = [str(a.value) for a in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if groups != [NODES_GROUP]:
        return "subject organization is not system:nodes"
    if not names or not names[0].startswith(NODE_PREFIX):
        return "subject common name does not begin with system:node:"
    serving = request["spec"]["signerName"] == "kubernetes.io/kubelet-serving"
    try:
        alternatives = list(parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        alternatives = []
    if not serving:
        return "subject alternative names are not allowed" if alternatives else ""
    if request["spec"].get("username") != names[0]:
        return "subject common name is not the requestor's name"
    if any(not isinstance(name, x509.DNSName | x509.IPAddress) for name in alternatives):
        return "only DNS and IP subject alternative names are allowed"
    return "" if alternatives else "DNS or IP subjectAltName is required"


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
