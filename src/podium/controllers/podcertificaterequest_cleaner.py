"""Requests of pods for certificates go when they are a quarter of an hour old, answered or not.

Upstream looks every five minutes: pkg/controller/certificates/cleaner/pcrcleaner.go. Here each request has
its timer.
"""

from __future__ import annotations

from datetime import timedelta

from podium.base.clock import parse_rfc3339
from podium.machinery import meta
from podium.machinery.errors import Conflict, NotFound
from podium.resources.certificates.podcertificaterequests import PODCERTIFICATEREQUESTS
from podium.runtime.controller import Context, Controller, Watch, own_key

KEPT = timedelta(minutes=15)
"""Whoever asks, signs and fetches is done by then."""


async def _reconcile(context: Context, key: str) -> float | None:
    request = context.caches[PODCERTIFICATEREQUESTS].get(key)
    if request is None or meta.deleting(request):
        return None
    end = parse_rfc3339(meta.metadata(request)["creationTimestamp"]) + KEPT
    left_s = (end - context.clock.now()).total_seconds()
    if left_s > 0:
        return left_s
    try:
        await context.client.delete(
            PODCERTIFICATEREQUESTS, meta.name(request), meta.namespace(request), uid=meta.uid(request)
        )
    except (NotFound, Conflict):
        return None  # It is gone, or another one has its name.
    return None


PODCERTIFICATEREQUEST_CLEANER = Controller(
    name="podcertificaterequest-cleaner-controller",
    service_account="podcertificaterequestcleaner",
    watches=(Watch(resource=PODCERTIFICATEREQUESTS, keys_of=own_key),),
    reconcile=_reconcile,
    workers=1,
)
