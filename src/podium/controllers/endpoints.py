"""Endpoints: the older form of EndpointSlices, one object for each Service with a selector.

Upstream: pkg/controller/endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common import endpoints as ep
from podium.controllers.common import pods as podlib
from podium.controllers.common.trigger_times import TriggerTimes, noted
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.services import SERVICES
from podium.runtime.controller import Caches, Context, Controller, Watch, namespace_is_terminating
from podium.runtime.informer import Delta

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
ADDRESSES_MAX = 1000
LEADER = "control-plane.alpha.kubernetes.io/leader"
"""The annotation of Endpoints that components once elected their leaders with: no Service ever had them."""


def plan(service: Object, pods: Iterable[Object], existing: Object | None) -> Object | None:
    """Return the Endpoints object to write, None when the one there is right."""
    subsets = _subsets(service, pods)
    over_capacity = _truncate(subsets)
    labels = {key: value for key, value in meta.labels(service).items() if key != ep.HEADLESS}
    labels[MANAGED_BY] = MANAGER
    if ep.is_headless(service):
        labels[ep.HEADLESS] = ""
    annotations = dict(meta.annotations(existing)) if existing is not None else {}
    if over_capacity:
        annotations[OVER_CAPACITY] = "truncated"
    else:
        annotations.pop(OVER_CAPACITY, None)
    base: Object = (
        existing
        if existing is not None
        else {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": meta.name(service), "namespace": meta.namespace(service)},
        }
    )
    new = meta.copy_path(base, "metadata")
    for field, value in (("labels", labels), ("annotations", annotations)):
        if value:
            new["metadata"][field] = value
        else:
            new["metadata"].pop(field, None)
    if subsets:
        new["subsets"] = [{key: value for key, value in subset.items() if value} for subset in subsets]
    else:
        new.pop("subsets", None)
    return None if new == existing else new


def _subsets(service: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the subsets, one for each combination of ports."""
    publish_not_ready = bool(service["spec"].get("publishNotReadyAddresses"))
    headless_without_ports = ep.is_headless(service) and not service["spec"].get("ports")
    family_6 = (service["spec"].get("ipFamilies") or ["IPv4"])[0] == "IPv6"
    groups: dict[str, Object] = {}
    for pod in sorted(pods, key=meta.name):
        if not ep.may_serve(pod, terminating=publish_not_ready):
            continue
        ip = next((ip for ip in ep.addresses(pod) if (":" in ip) == family_6), None)
        ports = ep.ports(service, pod)
        if ip is None or (not ports and not headless_without_ports):
            continue
        address: Object = {"ip": ip, "targetRef": ep.target_ref(pod)}
        if podlib.node_name(pod):
            address["nodeName"] = podlib.node_name(pod)
        hostname = ep.hostname(service, pod)
        if hostname:
            address["hostname"] = hostname
        ports.sort(key=lambda port: (port["name"], port["port"], port["protocol"]))
        group = groups.setdefault(repr(ports), {"addresses": [], "notReadyAddresses": [], "ports": ports})
        ready = publish_not_ready or podlib.is_ready(pod)
        group["addresses" if ready else "notReadyAddresses"].append(address)
    subsets = []
    for _, group in sorted(groups.items()):
        for field in ("addresses", "notReadyAddresses"):
            group[field].sort(key=lambda address: address["ip"])
        ports = [{k: v for k, v in port.items() if v != ""} for port in group["ports"]]
        subsets.append({**group, "ports": ports})
    return subsets


def _truncate(subsets: list[Object]) -> bool:
    """Leave out what is too much, in place, and tell whether anything was. Ready addresses go before others;
    each subset keeps its proportion of them."""
    ready = sum(len(subset["addresses"]) for subset in subsets)
    others = sum(len(subset["notReadyAddresses"]) for subset in subsets)
    if ready + others <= ADDRESSES_MAX:
        return False
    field, total, room = (
        ("addresses", ready, ADDRESSES_MAX)
        if ready > ADDRESSES_MAX
        else ("notReadyAddresses", others, ADDRESSES_MAX - ready)
    )
    left = room
    for subset in subsets:
        share = min(left, -(-len(subset[field]) * room // total))
        subset[field] = subset[field][:share]
        left -= len(subset[field])
        if field == "addresses":
            subset["notReadyAddresses"] = []
    return True


class _Endpoints:
    """The reconcile, and when it last saw what it makes them from."""

    def __init__(self) -> None:
        self.times = TriggerTimes()

    async def reconcile(self, context: Context, key: str) -> float | None:
        service = context.caches[SERVICES].get(key)
        existing = context.caches[ENDPOINTS].get(key)
        if service is None:
            self.times.forget(key)
            if existing is not None and LEADER not in meta.annotations(existing):
                await _delete(context, existing)
            return None
        if not ep.has_selector(service):
            return None
        pods = ep.pods_of(service, context.caches)
        changed_at = self.times.last_change(service, pods)
        new = plan(service, pods, existing)
        if new is not None:
            await _write(context, key, noted(new, changed_at), is_new=existing is None)
        return None


async def _write(context: Context, key: str, new: Object, *, is_new: bool) -> None:
    try:
        if is_new:
            await context.client.create(ENDPOINTS, new)
        else:
            await context.client.update(ENDPOINTS, new)
    except ApiError as error:
        if is_new and namespace_is_terminating(error):
            return
        what = f"create endpoint for service {key}" if is_new else f"update endpoint {key}"
        reason = "FailedToCreateEndpoint" if is_new else "FailedToUpdateEndpoint"
        context.recorder.event(new, "Warning", reason, f"Failed to {what}: {error.message}")
        raise


async def _delete(context: Context, existing: Object) -> None:
    try:
        await context.client.delete(
            ENDPOINTS, meta.name(existing), meta.namespace(existing), uid=meta.uid(existing)
        )
    except NotFound:
        return


def _keys_of_endpoints(delta: Delta, _caches: Caches) -> Iterable[str]:
    """Our own are put right when somebody changes them. Others may be made before their Services."""
    ours = any(
        meta.labels(one).get(MANAGED_BY) == MANAGER for one in (delta.old, delta.new) if one is not None
    )
    return (meta.key(delta.object),) if ours or delta.new is None else ()


def _look_for_leftovers(context: Context) -> None:
    """Those whose Service went while nobody looked."""
    for endpoints in context.caches[ENDPOINTS].list():
        context.queue.add(meta.key(endpoints))


def endpoints() -> Controller:
    """Return the controller."""
    return Controller(
        name="endpoints-controller",
        component="endpoint-controller",
        service_account="endpoint-controller",
        watches=(
            *ep.SERVICES_AND_PODS,
            Watch(resource=ENDPOINTS, keys_of=_keys_of_endpoints),
        ),
        reconcile=_Endpoints().reconcile,
        on_start=_look_for_leftovers,
    )
