"""Old certificate signing requests go: decided ones after an hour, the others after a day.

Upstream looks once an hour: pkg/controller/certificates/cleaner. Here each request has its timer.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from podium.runtime.controller import Context, Controller, Watch, own_key

NAME = "certificatesigningrequest-cleaner-controller"
DECIDED_KEPT = timedelta(hours=1)
PENDING_KEPT = timedelta(hours=24)
"""Without a word about it, or approved and not signed."""


def plan(request: Object, not_after: datetime | None) -> datetime | None:
    """Return when the request has to go; None: no time of it is known. `not_after` is its certificate's."""
    conditions = meta.dig(request, "status", "conditions", default=())
    issued = bool(meta.dig(request, "status", "certificate"))
    if not conditions:
        created = meta.metadata(request).get("creationTimestamp")
        return parse_rfc3339(created) + PENDING_KEPT if created else None
    ends = []
    for condition in conditions:
        kept = DECIDED_KEPT
        if condition.get("type") == "Approved":
            kept = DECIDED_KEPT if issued else PENDING_KEPT
            if issued and not_after is not None:
                ends.append(not_after)
        if condition.get("type") in ("Approved", "Denied", "Failed") and condition.get("lastUpdateTime"):
            ends.append(parse_rfc3339(condition["lastUpdateTime"]) + kept)
    return min(ends, default=None)


def not_after(request: Object) -> datetime | None:
    """Return when the request's certificate expires; None when there is none that can be read."""
    encoded = meta.dig(request, "status", "certificate")
    if not encoded:
        return None
    from cryptography import x509  # noqa: PLC0415 - see csr_signing

    try:
        return x509.load_pem_x509_certificate(base64.b64decode(encoded)).not_valid_after_utc
    except ValueError:
        return None


async def _reconcile(context: Context, key: str) -> float | None:
    request = context.caches[CERTIFICATESIGNINGREQUESTS].get(key)
    if request is None or meta.deleting(request):
        return None
    end = plan(request, not_after(request))
    if end is None:
        return None
    left_s = (end - context.clock.now()).total_seconds()
    if left_s > 0:
        return left_s
    try:
        await context.client.delete(CERTIFICATESIGNINGREQUESTS, key, uid=meta.uid(request))
    except NotFound:
        return None
    return None


CSR_CLEANER = Controller(
    name=NAME,
    service_account="certificate-controller",
    watches=(Watch(resource=CERTIFICATESIGNINGREQUESTS, keys_of=own_key),),
    reconcile=_reconcile,
)
