"""ResourcePoolStatusRequests are answered, once: how many devices of a driver's pools are in use.

Answered ones go after an hour, the others after a day. A pool of which slices are missing is waited for:
the request is looked at again with each slice that comes.
Upstream: pkg/controller/resourcepoolstatusrequest (alpha, gate DRAResourcePoolStatus).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339, rfc3339
from podium.base.metrics import Registry, exponential
from podium.machinery import meta
from podium.machinery.errors import ApiError, Conflict, NotFound, Object
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.resources.resource.resourcepoolstatusrequests import LIMIT, RESOURCEPOOLSTATUSREQUESTS
from podium.resources.resource.resourceslices import RESOURCESLICES
from podium.runtime.controller import Caches, Context, Controller, Watch, own_key
from podium.runtime.informer import Delta

ANSWERED_KEPT = timedelta(hours=1)
PENDING_KEPT = timedelta(hours=24)
MESSAGE_BYTES_MAX = 256


class PoolMetrics:
    """What the controller counts, under upstream's names."""

    def __init__(self, registry: Registry) -> None:
        prefix = "resourcepoolstatusrequest_controller"
        self.processed = registry.counter(
            f"{prefix}_requests_processed_total", "Requests answered, or tried to be.", "driver_name"
        )
        self.errors = registry.counter(
            f"{prefix}_request_processing_errors_total", "Answers that were not written.", "driver_name"
        )
        self.duration = registry.histogram(
            f"{prefix}_request_processing_duration_seconds",
            "How long answering took.",
            exponential(0.001, 2, 15),
            "driver_name",
        )


def answer(request: Object, slices: Iterable[Object], claims: Iterable[Object], now: datetime) -> Object:
    """Return the status that answers the request."""
    spec = request["spec"]
    pools = _pools(spec["driver"], spec.get("poolName"), slices, _allocated(claims))
    shown = pools[: spec.get("limit") or LIMIT]
    incomplete = sum(1 for pool in shown if "validationError" in pool)
    message = f"Calculated status for {len(shown)} pools"
    if incomplete:
        message += f" ({incomplete} incomplete)"
    condition = {
        "type": "Complete",
        "status": "True",
        "lastTransitionTime": rfc3339(now),
        "reason": "CalculationComplete",
        "message": message,
    }
    return {"poolCount": len(pools), "pools": shown, "conditions": [condition]}


def is_complete(status: Object) -> bool:
    """Tell whether all slices of all pools were there."""
    return all("validationError" not in pool for pool in status["pools"])


def _allocated(claims: Iterable[Object]) -> Counter[tuple[str, str]]:
    """Return how many devices of each (driver, pool) claims have."""
    return Counter(
        (result["driver"], result["pool"])
        for claim in claims
        for result in meta.dig(claim, "status", "allocation", "devices", "results", default=())
    )


def _pools(
    driver: str, only: str | None, slices: Iterable[Object], allocated: Counter[tuple[str, str]]
) -> list[Object]:
    by_name: dict[str, list[Object]] = {}
    for one in slices:
        name = one["spec"]["pool"]["name"]
        if one["spec"]["driver"] == driver and only in (None, "", name):
            by_name.setdefault(name, []).append(one["spec"])
    return [_pool(driver, name, by_name[name], allocated[driver, name]) for name in sorted(by_name)]


def _pool(driver: str, name: str, slices: list[Object], allocated: int) -> Object:
    generation = max(_generation(one) for one in slices)
    current = [one for one in slices if _generation(one) == generation]
    pool: Object = {"driver": driver, "poolName": name, "generation": generation}
    nodes = {one.get("nodeName") or "" for one in current}
    if len(nodes) == 1 and (node := nodes.pop()):
        pool["nodeName"] = node
    expected = int(current[0]["pool"].get("resourceSliceCount") or 0)
    if len(current) < expected:
        message = (
            f"pool {driver}/{name} is incomplete: observed {len(current)}/{expected} slices"
            f" at generation {generation}"
        )
        return {**pool, "validationError": message.encode()[:MESSAGE_BYTES_MAX].decode(errors="ignore")}
    total = sum(len(one.get("devices") or ()) for one in current)
    return {
        **pool,
        "resourceSliceCount": len(current),
        "totalDevices": total,
        "allocatedDevices": allocated,
        "availableDevices": max(0, total - allocated),
        "unavailableDevices": 0,
    }


def _generation(spec: Object) -> int:
    return int(spec["pool"].get("generation") or 0)


def ends_at(request: Object) -> datetime:
    """Return when the request has to go."""
    status = request.get("status")
    created = parse_rfc3339(meta.metadata(request)["creationTimestamp"])
    if status is None:
        return created + PENDING_KEPT
    for condition in status.get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed"):
            return parse_rfc3339(condition["lastTransitionTime"]) + ANSWERED_KEPT
    return created + ANSWERED_KEPT


async def _reconcile(context: Context, key: str) -> float | None:
    request = context.caches[RESOURCEPOOLSTATUSREQUESTS].get(key)
    if request is None or meta.deleting(request):
        return None
    now = context.clock.now()
    left_s = (ends_at(request) - now).total_seconds()
    if left_s <= 0:
        try:
            await context.client.delete(RESOURCEPOOLSTATUSREQUESTS, key, uid=meta.uid(request))
        except (NotFound, Conflict):
            return None
        return None
    if request.get("status") is None:
        slices, claims = context.caches[RESOURCESLICES].list(), context.caches[RESOURCECLAIMS].list()
        status = answer(request, slices, claims, now)
        if is_complete(status):
            await _write(context, {**request, "status": status})
            return ANSWERED_KEPT.total_seconds()
    return left_s


async def _write(context: Context, answered: Object) -> None:
    metrics, driver = context.metrics.of(PoolMetrics), str(answered["spec"]["driver"])
    began_s = context.clock.monotonic_s()
    try:
        await context.client.update(RESOURCEPOOLSTATUSREQUESTS, answered, subresource="status")
    except ApiError:
        metrics.errors.labels(driver).inc()
        raise
    finally:
        metrics.processed.labels(driver).inc()
        metrics.duration.labels(driver).observe(context.clock.monotonic_s() - began_s)


def _waiting_for(delta: Delta, caches: Caches) -> Iterable[str]:
    """The requests without an answer that ask about a slice's driver."""
    driver = delta.object["spec"]["driver"]
    requests = caches[RESOURCEPOOLSTATUSREQUESTS].list()
    return [meta.key(r) for r in requests if r.get("status") is None and r["spec"]["driver"] == driver]


RESOURCEPOOLSTATUSREQUEST = Controller(
    name="resourcepoolstatusrequest-controller",
    watches=(
        Watch(resource=RESOURCEPOOLSTATUSREQUESTS, keys_of=own_key),
        Watch(resource=RESOURCESLICES, keys_of=_waiting_for),
        Watch(resource=RESOURCECLAIMS),
    ),
    reconcile=_reconcile,
    workers=1,
)
