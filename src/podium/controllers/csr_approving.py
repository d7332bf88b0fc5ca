"""Kubelets' requests for client certificates: approved where RBAC lets the requestor have them unasked.

The right is a virtual one, to create `certificatesigningrequests/nodeclient`, or `/selfnodeclient` for a
node that renews its own certificate. Upstream: pkg/controller/certificates/approver.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from podium.base.log import Log
from podium.controllers.csr_signing import common_name, not_of_a_kubelet
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from podium.runtime.controller import Context, Controller, Watch, own_key

if TYPE_CHECKING:
    from cryptography import x509

NAME = "certificatesigningrequest-approving-controller"
SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SELF, OTHER = "selfnodeclient", "nodeclient"
MESSAGES = {
    SELF: "Auto approving self kubelet client certificate after SubjectAccessReview.",
    OTHER: "Auto approving kubelet client certificate after SubjectAccessReview.",
}

_log = Log("podium.csr")


def is_undecided(request: Object) -> bool:
    """Tell whether nobody has approved, denied or signed the request yet."""
    status: Object = request.get("status") or {}
    decided = {condition.get("type") for condition in status.get("conditions") or ()}
    return not status.get("certificate") and not decided & {"Approved", "Denied"}


def permissions_to_try(request: Object, parsed: x509.CertificateSigningRequest) -> list[str]:
    """Return the rights one of which approves the request; none when it is not of a kubelet."""
    spec = request["spec"]
    usages = frozenset(spec.get("usages") or ())
    if spec.get("signerName") != SIGNER or not_of_a_kubelet(usages, parsed):
        return []
    return [SELF, OTHER] if spec.get("username") == common_name(parsed) else [OTHER]


def review(request: Object, permission: str) -> Object:
    """Return the question whether the requestor has the right."""
    spec = request["spec"]
    asked: Object = {
        "user": spec.get("username") or "",
        "uid": spec.get("uid") or "",
        "groups": list(spec.get("groups") or ()),
        "resourceAttributes": {
            "group": "certificates.k8s.io",
            "version": "*",
            "resource": "certificatesigningrequests",
            "subresource": permission,
            "verb": "create",
        },
    }
    if spec.get("extra"):
        asked["extra"] = spec["extra"]
    return {"spec": asked}


def approved(request: Object, message: str) -> Object:
    status: Object = dict(request.get("status") or {})
    condition = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": message}
    status["conditions"] = [*(status.get("conditions") or ()), condition]
    return {**request, "status": status}


async def _reconcile(context: Context, key: str) -> float | None:
    request = context.caches[CERTIFICATESIGNINGREQUESTS].get(key)
    if request is None or request["spec"].get("signerName") != SIGNER or not is_undecided(request):
        return None
    from cryptography import x509  # noqa: PLC0415

    try:
        parsed = x509.load_pem_x509_csr(base64.b64decode(request["spec"]["request"]))
    except ValueError as error:
        _log.warning("a request that cannot be read", name=meta.name(request), error=str(error))
        return None
    tried = permissions_to_try(request, parsed)
    for permission in tried:
        answer = await context.client.create(SUBJECTACCESSREVIEWS, review(request, permission))
        if (answer.get("status") or {}).get("allowed"):
            new = approved(request, MESSAGES[permission])
            await context.client.update(CERTIFICATESIGNINGREQUESTS, new, subresource="approval")
            return None
    if tried:
        _log.info("left to somebody else to approve", name=meta.name(request), tried=",".join(tried))
    return None


CSR_APPROVING = Controller(
    name=NAME,
    service_account="certificate-controller",
    watches=(Watch(resource=CERTIFICATESIGNINGREQUESTS, keys_of=own_key),),
    reconcile=_reconcile,
)
