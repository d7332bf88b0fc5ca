"""ServiceCIDRs: ready as soon as they are there, and kept while a Service has an address of theirs alone.

Upstream: pkg/controller/servicecidrs.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from podium.base.clock import parse_rfc3339, rfc3339
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.networking.ipaddresses import IPADDRESSES
from podium.resources.networking.servicecidrs import SERVICECIDRS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "service-cidr-controller"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
MANAGED_BY = "ipaddress.kubernetes.io/managed-by"
ALLOCATOR = "ipallocator.k8s.io"
DELETION_GRACE = timedelta(seconds=10)
"""Until every API server has noticed that no addresses are to be taken from a range that goes."""
READY = {"type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready"}
TERMINATING = {
    "type": "Ready",
    "status": "False",
    "reason": "Terminating",
    "message": "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new "
    "ServiceCIDR",
}

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    finalizer: bool | None = None
    """To be set, or taken off; None: it is as it should be."""
    condition: Object | None = None
    again_s: float | None = None


def networks(service_cidr: Object) -> list[Network]:
    """Return the ranges of a ServiceCIDR."""
    found: list[Network] = []
    for text in meta.dig(service_cidr, "spec", "cidrs", default=()):
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            continue
    return found


def holds(network: Network, address: Address) -> bool:
    """Tell whether Services may have the address from this range: not its first, of IPv4 not its last."""
    if address not in network or address == network.network_address:
        return False
    return not (address.version == 4 and address == network.broadcast_address)


def plan(service_cidr: Object, others: Sequence[Object], addresses: Iterable[Address], now: datetime) -> Plan:
    """Decide about one ServiceCIDR. `addresses`: those that Services have."""
    held = FINALIZER in meta.finalizers(service_cidr)
    if not meta.deleting(service_cidr):
        return Plan(finalizer=None if held else True, condition=_unless_said(service_cidr, READY))
    if not may_go(service_cidr, others, addresses):
        return Plan(condition=_unless_said(service_cidr, TERMINATING))
    since = now - parse_rfc3339(meta.metadata(service_cidr)["deletionTimestamp"])
    if since < DELETION_GRACE:
        return Plan(again_s=(DELETION_GRACE - since).total_seconds())
    return Plan(finalizer=False if held else None)


def may_go(service_cidr: Object, others: Sequence[Object], addresses: Iterable[Address]) -> bool:
    """Tell whether no address needs the ranges: others contain them, or nobody has one that no other has."""
    own = networks(service_cidr)
    other = [network for one in others for network in networks(one)]
    if all(any(_contains(outer, inner) for outer in other) for inner in own):
        return True
    return not any(
        any(holds(network, address) for network in own)
        and not any(holds(network, address) for network in other)
        for address in addresses
    )


def _contains(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and outer.overlaps(inner) and outer.prefixlen <= inner.prefixlen


def _unless_said(service_cidr: Object, condition: Object) -> Object | None:
    said = meta.find_condition(service_cidr, "Ready") or {}
    same = all((said.get(key) or "") == value for key, value in condition.items())
    return None if same else condition


async def _reconcile(context: Context, key: str) -> float | None:
    cache = context.caches[SERVICECIDRS]
    service_cidr = cache.get(key)
    if service_cidr is None:
        return None
    others = [other for other in cache.list() if meta.name(other) != key]
    now = context.clock.now()
    decided = plan(service_cidr, others, _addresses(context.caches), now)
    try:
        if decided.finalizer is not None:
            verb = "finalizers" if decided.finalizer else "$deleteFromPrimitiveList/finalizers"
            patch: Object = {"metadata": {verb: [FINALIZER]}}
            await context.client.patch(SERVICECIDRS, key, patch, type="strategic")
        if decided.condition is not None:
            await _say(context, service_cidr, decided.condition, now)
    except NotFound:
        return None
    return decided.again_s


async def _say(context: Context, service_cidr: Object, condition: Object, now: datetime) -> None:
    applied = {
        "apiVersion": SERVICECIDRS.api_version,
        "kind": SERVICECIDRS.kind,
        "metadata": {"name": meta.name(service_cidr)},
        "status": {"conditions": [{**condition, "lastTransitionTime": rfc3339(now)}]},
    }
    try:
        await context.client.patch(
            SERVICECIDRS,
            meta.name(service_cidr),
            applied,
            type="apply",
            subresource="status",
            field_manager=NAME,
            force=True,
        )
    except NotFound:
        raise
    except ApiError:
        if condition is READY:
            message = "The ServiceCIDR Status can not be set to Ready=True"
            context.recorder.event(service_cidr, "Warning", "KubernetesServiceCIDRError", message)
        raise


def _addresses(caches: Caches) -> list[Address]:
    found = []
    for obj in caches[IPADDRESSES].list():
        address = _address(obj)
        if address is not None:
            found.append(address)
    return found


def _address(obj: Object) -> Address | None:
    """Return the address of an IPAddress that a Service has; None for others'."""
    if meta.labels(obj).get(MANAGED_BY) != ALLOCATOR:
        return None
    try:
        return ipaddress.ip_address(meta.name(obj))
    except ValueError:
        return None


def _keys_of_cidr(delta: Delta, caches: Caches) -> Iterable[str]:
    """The ServiceCIDR; when it comes or goes, also those that go, which it may free or not any more."""
    key = meta.name(delta.object)
    if delta.old is not None and delta.new is not None:
        return (key,)
    return {key, *(meta.name(one) for one in caches[SERVICECIDRS].list() if meta.deleting(one))}


def _keys_of_address(delta: Delta, caches: Caches) -> Iterable[str]:
    """Only what is being deleted waits for addresses."""
    going = [one for one in caches[SERVICECIDRS].list() if meta.deleting(one)]
    if not going or (delta.old is not None and delta.new is not None):
        return ()
    address = _address(delta.object)
    if address is None:
        return ()
    return [meta.name(one) for one in going if any(holds(network, address) for network in networks(one))]


SERVICE_CIDRS = Controller(
    name=NAME,
    service_account="service-cidrs-controller",
    watches=(
        Watch(resource=SERVICECIDRS, keys_of=_keys_of_cidr),
        Watch(resource=IPADDRESSES, keys_of=_keys_of_address),
    ),
    reconcile=_reconcile,
)
