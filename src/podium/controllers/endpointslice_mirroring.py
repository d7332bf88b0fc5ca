"""Mirrored EndpointSlices: what users write as Endpoints of Services without a selector, as slices.

Upstream: pkg/controller/endpointslicemirroring. Not mirrored: Endpoints that say so by a label, those that
are a lock of old leader elections, those without a Service.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from podium.controllers.endpointslice_plan import MANAGED_BY, SERVICE_NAME, ports_key
from podium.controllers.figures import MirroringMetrics
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.machinery.validation import is_dns1123_subdomain
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "endpointslice-mirroring-controller"
MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP_MIRROR = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
ENDPOINTS_PER_SUBSET_MAX = 1000
_NOT_COPIED = (
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubectl.kubernetes.io/last-applied-configuration",
)
_BY_SERVICE = "mirrored service"


@dataclass(slots=True, kw_only=True)
class Plan:
    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    """Reason and message of events about the Endpoints."""


@dataclass(slots=True, kw_only=True)
class _Group:
    """Endpoints of one address family with the same ports, by their address."""

    family: str
    ports: list[Object]
    endpoints: dict[str, Object] = field(default_factory=dict)


def is_mirrored(endpoints: Object | None, service: Object | None) -> bool:
    """Tell whether these Endpoints are to be mirrored."""
    return (
        endpoints is not None
        and service is not None
        and service["spec"].get("selector") is None
        and _may_be_mirrored(endpoints)
    )


def _may_be_mirrored(endpoints: Object) -> bool:
    return meta.labels(endpoints).get(SKIP_MIRROR) != "true" and LEADER not in meta.annotations(endpoints)


def plan(endpoints: Object, slices: Sequence[Object], per_subset_max: int = ENDPOINTS_PER_SUBSET_MAX) -> Plan:
    """Decide what becomes of the `slices` that mirror the Endpoints."""
    result = Plan()
    groups = _groups(endpoints, per_subset_max, result)
    existing: dict[tuple[str, str], list[Object]] = {}
    for slice_ in slices:
        key = (str(slice_.get("addressType")), ports_key(slice_.get("ports") or ()))
        existing.setdefault(key, []).append(slice_)
    for key, group in groups.items():
        ours = existing.pop(key, [])
        result.delete += ours[1:]
        wanted = _slice(endpoints, group)
        if not ours:
            result.create.append(wanted)
        elif not _same(ours[0], wanted, endpoints):
            result.update.append(_renewed(ours[0], wanted))
    for left in existing.values():
        result.delete += left
    _reuse(result)
    return result


def _groups(endpoints: Object, per_subset_max: int, result: Plan) -> dict[tuple[str, str], _Group]:
    """Return the endpoints there should be, by family and ports. An address that is ready anywhere is."""
    groups: dict[tuple[str, str], _Group] = {}
    invalid = skipped = 0
    for ports, ready, not_ready in _repacked(endpoints):
        added = 0
        for address, is_ready in [*((a, True) for a in ready), *((a, False) for a in not_ready)]:
            if added >= per_subset_max:
                skipped += 1
                continue
            endpoint = _endpoint(address, is_ready)
            if endpoint is None:
                invalid += 1
                continue
            added += 1
            family = "IPv6" if ":" in endpoint["addresses"][0] else "IPv4"
            group = groups.setdefault((family, ports_key(ports)), _Group(family=family, ports=ports))
            group.endpoints[endpoint["addresses"][0]] = endpoint
    if invalid:
        message = f"Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices"
        result.warnings.append(("InvalidIPAddress", message))
    if skipped:
        message = (
            f"A max of {per_subset_max} addresses can be mirrored to EndpointSlices per Endpoints subset. "
            f"{skipped + invalid} addresses were skipped"
        )
        result.warnings.append(("TooManyAddressesToMirror", message))
    return groups


def _repacked(endpoints: Object) -> Iterable[tuple[list[Object], list[Object], list[Object]]]:
    """Yield ports, ready and other addresses of subsets of which no two have the same ports."""
    found: dict[str, tuple[list[Object], dict[str, Object], dict[str, Object]]] = {}
    for subset in endpoints.get("subsets") or ():
        ports = [_port(port) for port in subset.get("ports") or ()]
        _, ready, not_ready = found.setdefault(ports_key(ports), (ports, {}, {}))
        ready.update({a["ip"]: a for a in subset.get("addresses") or ()})
        not_ready.update({a["ip"]: a for a in subset.get("notReadyAddresses") or ()})
    for ports, ready, not_ready in found.values():
        others = [address for ip, address in not_ready.items() if ip not in ready]
        yield ports, list(ready.values()), others


def _port(port: Object) -> Object:
    made: Object = {
        "name": port.get("name") or "",
        "port": port["port"],
        "protocol": port.get("protocol") or "TCP",
    }
    if port.get("appProtocol") is not None:
        made["appProtocol"] = port["appProtocol"]
    return made


def _endpoint(address: Object, ready: bool) -> Object | None:
    """Return an address as an endpoint, None for one that is none."""
    try:
        ip = ipaddress.ip_address(_without_zeros(address["ip"]))
    except ValueError:
        return None
    endpoint: Object = {"addresses": [str(ip)], "conditions": {"ready": ready}}
    for name in ("targetRef", "nodeName"):
        if address.get(name) is not None:
            endpoint[name] = address[name]
    if address.get("hostname"):
        endpoint["hostname"] = address["hostname"]
    return endpoint


def _without_zeros(ip: str) -> str:
    """Return an IPv4 address without leading zeros, which Kubernetes has always read as decimals."""
    parts = ip.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() for part in parts):
        return ".".join(part.lstrip("0") or "0" for part in parts)
    return ip


def _labels(endpoints: Object) -> dict[str, str]:
    return {**meta.labels(endpoints), SERVICE_NAME: meta.name(endpoints), MANAGED_BY: MANAGER}


def _annotations(endpoints: Object) -> Mapping[str, str]:
    return {key: value for key, value in meta.annotations(endpoints).items() if key not in _NOT_COPIED}


def _slice(endpoints: Object, group: _Group) -> Object:
    prefix = meta.name(endpoints) + "-"
    metadata: Object = {
        "generateName": prefix if is_dns1123_subdomain(prefix + "x") else meta.name(endpoints),
        "namespace": meta.namespace(endpoints),
        "labels": _labels(endpoints),
        "ownerReferences": [meta.owner_reference(endpoints)],
    }
    annotations = _annotations(endpoints)
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {
        "apiVersion": ENDPOINTSLICES.api_version,
        "kind": ENDPOINTSLICES.kind,
        "metadata": metadata,
        "addressType": group.family,
        "endpoints": sorted(group.endpoints.values(), key=lambda endpoint: str(endpoint["addresses"][0])),
        "ports": group.ports,
    }


def _same(slice_: Object, wanted: Object, endpoints: Object) -> bool:
    """Tell whether a slice says what it should. The order of endpoints means nothing."""
    have = sorted(slice_.get("endpoints") or (), key=lambda endpoint: str(endpoint["addresses"][0]))
    foreign = any(
        owner.get("kind") == "Endpoints"
        and owner.get("name") == meta.name(endpoints)
        and owner.get("uid") != meta.uid(endpoints)
        for owner in meta.owner_references(slice_)
    )
    return (
        have == wanted["endpoints"]
        and meta.labels(slice_) == _labels(endpoints)
        and meta.annotations(slice_) == _annotations(endpoints)
        and not foreign
    )


def _renewed(slice_: Object, wanted: Object) -> Object:
    """Return `wanted` in the place of a slice that there is."""
    kept = {
        name: meta.metadata(slice_)[name]
        for name in ("name", "uid", "resourceVersion")
        if name in meta.metadata(slice_)
    }
    metadata = {key: value for key, value in wanted["metadata"].items() if key != "generateName"}
    return {**wanted, "metadata": {**metadata, **kept}}


def _reuse(result: Plan) -> None:
    """Let slices that would go become those that would be made, where the family is the same."""
    for wanted in list(result.create):
        spare = next((s for s in result.delete if s.get("addressType") == wanted["addressType"]), None)
        if spare is not None:
            result.create.remove(wanted)
            result.delete.remove(spare)
            result.update.append(_renewed(spare, wanted))


def endpointslice_mirroring(per_subset_max: int = ENDPOINTS_PER_SUBSET_MAX) -> Controller:
    """Return the controller."""

    async def reconcile(context: Context, key: str) -> float | None:
        began_s = context.clock.monotonic_s()
        endpoints = context.caches[ENDPOINTS].get(key)
        slices = [
            s for s in context.caches[ENDPOINTSLICES].by_index(_BY_SERVICE, key) if not meta.deleting(s)
        ]
        slices.sort(key=meta.name)
        if endpoints is None or not is_mirrored(endpoints, context.caches[SERVICES].get(key)):
            await _delete(context, slices)
            return None
        decided = plan(endpoints, slices, per_subset_max)
        for reason, message in decided.warnings:
            context.recorder.event(endpoints, "Warning", reason, message)
        if not meta.deleting(endpoints):
            for slice_ in decided.create:
                await context.client.create(ENDPOINTSLICES, slice_)
        for slice_ in decided.update:
            await context.client.update(ENDPOINTSLICES, slice_)
        await _delete(context, decided.delete)
        metrics = context.metrics.of(MirroringMetrics)
        metrics.look(slices, decided.create, decided.update, decided.delete)
        metrics.seconds.observe(context.clock.monotonic_s() - began_s)
        return None

    return Controller(
        name=NAME,
        component="endpoint-slice-mirroring-controller",
        service_account="endpointslicemirroring-controller",
        watches=(
            Watch(resource=ENDPOINTS, keys_of=_keys_of_endpoints),
            Watch(resource=SERVICES, keys_of=_keys_of_service),
            Watch(resource=ENDPOINTSLICES, keys_of=_keys_of_slice, indexes={_BY_SERVICE: _service_of_slice}),
        ),
        reconcile=reconcile,
        on_start=lambda context: context.metrics.of(MirroringMetrics).follow(context),
    )


async def _delete(context: Context, slices: Iterable[Object]) -> None:
    for slice_ in slices:
        try:
            await context.client.delete(
                ENDPOINTSLICES, meta.name(slice_), meta.namespace(slice_), uid=meta.uid(slice_)
            )
        except NotFound:
            continue


def _keys_of_endpoints(delta: Delta, _caches: Caches) -> Iterable[str]:
    known = [endpoints for endpoints in (delta.old, delta.new) if endpoints is not None]
    return (meta.key(delta.object),) if any(_may_be_mirrored(one) for one in known) else ()


def _keys_of_service(delta: Delta, _caches: Caches) -> Iterable[str]:
    """A Service matters when it comes or goes without a selector, or gets or loses one."""
    without = [one["spec"].get("selector") is None for one in (delta.old, delta.new) if one is not None]
    changed = any(without) and (len(without) == 1 or not all(without))
    return (meta.key(delta.object),) if changed else ()


def _service_of_slice(slice_: Object) -> Iterable[str]:
    labels = meta.labels(slice_)
    if labels.get(MANAGED_BY) == MANAGER and labels.get(SERVICE_NAME):
        return (f"{meta.namespace(slice_)}/{labels[SERVICE_NAME]}",)
    return ()


def _keys_of_slice(delta: Delta, _caches: Caches) -> Iterable[str]:
    return {
        key for slice_ in (delta.old, delta.new) if slice_ is not None for key in _service_of_slice(slice_)
    }
