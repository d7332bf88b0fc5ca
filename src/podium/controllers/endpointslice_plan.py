"""What becomes of the slices of a Service: few of them are touched. Pure.

    wanted endpoints, by ports -> placed in the slices there are -> hinted -> creates turned into updates

Upstream: staging/src/k8s.io/endpointslice/reconciler.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from podium.controllers.common import endpoints as ep
from podium.controllers.common import pods as podlib
from podium.controllers.common import topology_hints
from podium.controllers.common.topology_hints import ZONE, NoHints, Zones
from podium.machinery import meta
from podium.machinery.errors import Json, Object
from podium.machinery.validation import is_dns1123_subdomain
from podium.resources.discovery.endpointslices import ENDPOINTSLICES

ENDPOINTS_PER_SLICE_MAX = 100
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
_CLOSE = ("PreferClose", "PreferSameZone", "PreferSameNode")
_RESERVED = frozenset((SERVICE_NAME, MANAGED_BY, ep.HEADLESS))


@dataclass(slots=True, kw_only=True)
class Plan:
    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Pods that were left out because their nodes do not exist (yet), in words."""
    zones: dict[str, Zones] = field(default_factory=dict)
    """By address family, for how many endpoints the zones have hints."""
    no_hints: list[str] = field(default_factory=list)
    """Why hints that were asked for cannot be given."""


@dataclass(slots=True, kw_only=True)
class _Placed:
    """The slices of one address family."""

    per_slice_max: int
    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    unchanged: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def plan(
    service: Object,
    pods: Iterable[Object],
    nodes: Mapping[str, Object],
    slices: Sequence[Object],
    shares: Callable[[], Mapping[str, float]] = dict,
    per_slice_max: int = ENDPOINTS_PER_SLICE_MAX,
) -> Plan:
    """Decide what becomes of the Service's `slices` (our own ones). `shares` are those of the zones, of CPUs;
    they are asked for where hints depend on them."""
    result = Plan()
    families = service["spec"].get("ipFamilies") or ["IPv4"]
    wanted = _wanted(service, pods, nodes, families, result)
    for family in families:
        ours = [s for s in slices if s.get("addressType") == family]
        placed = _place(service, family, wanted[family], ours, per_slice_max)
        _hint(service, family, placed, shares, result)
        _reuse(service, placed)
        result.create += placed.create
        result.update += placed.update
        result.delete += placed.delete
    result.delete += [s for s in slices if s.get("addressType") not in families]
    return result


@dataclass(slots=True, kw_only=True)
class _Group:
    """Endpoints with the same ports."""

    ports: list[Object]
    endpoints: dict[str, Object] = field(default_factory=dict)
    """By the identity of the pod."""


def _wanted(
    service: Object,
    pods: Iterable[Object],
    nodes: Mapping[str, Object],
    families: Sequence[str],
    result: Plan,
) -> dict[str, dict[str, _Group]]:
    """Return for each address family the endpoints there should be, grouped by their ports."""
    wanted: dict[str, dict[str, _Group]] = {family: {} for family in families}
    publish_not_ready = bool(service["spec"].get("publishNotReadyAddresses"))
    for pod in pods:
        if not ep.may_serve(pod, terminating=True):
            continue
        node = nodes.get(podlib.node_name(pod))
        if node is None and not publish_not_ready:
            where = f"{meta.namespace(service)}/{meta.name(service)}"
            result.missing.append(
                f"skipping Pod {meta.name(pod)} for Service {where}: Node {podlib.node_name(pod)} Not Found"
            )
            continue
        pod_ports = ep.ports(service, pod)
        for family in families:
            ips = [ip for ip in ep.addresses(pod) if (":" in ip) == (family == "IPv6")]
            if ips:
                group = wanted[family].setdefault(ports_key(pod_ports), _Group(ports=pod_ports))
                group.endpoints[meta.uid(pod)] = _endpoint(service, pod, node, ips)
    return wanted


def _endpoint(service: Object, pod: Object, node: Object | None, ips: list[str]) -> Object:
    serving = podlib.is_ready(pod)
    terminating = meta.deleting(pod)
    ready = bool(service["spec"].get("publishNotReadyAddresses")) or (serving and not terminating)
    endpoint: Object = {
        "addresses": ips,
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "targetRef": ep.target_ref(pod),
    }
    hostname = ep.hostname(service, pod)
    if hostname:
        endpoint["hostname"] = hostname
    if podlib.node_name(pod):
        endpoint["nodeName"] = podlib.node_name(pod)
    zone = meta.labels(node).get(ZONE) if node is not None else None
    if zone:
        endpoint["zone"] = zone
    return endpoint


def ports_key(ports: Json) -> str:
    """Return what is the same for slices with the same ports, whatever their order."""
    return repr(
        sorted((p.get("name") or "", p.get("port"), p.get("protocol"), p.get("appProtocol")) for p in ports)
    )


def _place(
    service: Object,
    family: str,
    groups: Mapping[str, _Group],
    slices: Sequence[Object],
    per_slice_max: int,
) -> _Placed:
    """Distribute the endpoints of one address family over slices."""
    labels = _labels(service)
    by_ports: dict[str, list[Object]] = {}
    result = _Placed(per_slice_max=per_slice_max, delete=[s for s in slices if not _is_of(s, service)])
    for slice_ in slices:
        if _is_of(slice_, service):
            by_ports.setdefault(ports_key(slice_.get("ports") or ()), []).append(slice_)
    for key, group in groups.items():
        _place_group(service, family, group, by_ports.pop(key, []), labels, result)
    for left in by_ports.values():
        result.delete += left
    if not (result.create or result.update or result.unchanged):
        # A Service without endpoints keeps one empty slice, so that "none" can be told from "not known".
        empty = [
            s for s in result.delete if _is_of(s, service) and not s.get("endpoints") and not s.get("ports")
        ]
        if empty:
            result.delete.remove(empty[0])
            same = meta.labels(empty[0]) == labels
            (result.unchanged if same else result.update).append(_changed(empty[0], [], labels))
        else:
            result.create.append(_new_slice(service, family, [], [], labels))
    return result


def _is_of(slice_: Object, service: Object) -> bool:
    """Tell whether it is this very Service's, not that of an earlier one of its name."""
    return any(
        owner.get("uid") == meta.uid(service) and owner.get("kind") == "Service"
        for owner in meta.owner_references(slice_)
    )


def _place_group(
    service: Object,
    family: str,
    group: _Group,
    slices: Sequence[Object],
    labels: Mapping[str, str],
    result: _Placed,
) -> None:
    """Place the endpoints with the same ports."""
    missing = dict(group.endpoints)
    changed: list[tuple[Object, list[Object]]] = []
    unchanged: list[Object] = []
    for slice_ in slices:
        have = slice_.get("endpoints") or []
        stay = [wanted for one in have if (wanted := missing.pop(_identity(one), None)) is not None]
        if stay == [_unhinted(one) for one in have] and meta.labels(slice_) == labels:
            unchanged.append(slice_)
        elif stay:
            changed.append((slice_, stay))
        else:
            result.delete.append(slice_)
    rest = list(missing.values())
    # Slices that must be written anyway take in what is new, the fullest first; then one that it fits into.
    changed.sort(key=lambda entry: -len(entry[1]))
    for _, stay in changed:
        room = result.per_slice_max - len(stay)
        stay.extend(rest[:room])
        rest = rest[room:]
    tail = len(rest) % result.per_slice_max
    room_for_tail = result.per_slice_max - tail
    fitting = [s for s in unchanged if tail and len(s.get("endpoints") or ()) <= room_for_tail]
    if fitting:
        fullest = max(fitting, key=lambda slice_: len(slice_.get("endpoints") or ()))
        unchanged.remove(fullest)
        kept = [_unhinted(one) for one in fullest.get("endpoints") or ()]
        changed.append((fullest, kept + rest[len(rest) - tail :]))
        rest = rest[: len(rest) - tail]
    result.unchanged += unchanged
    result.update += [_changed(slice_, stay, labels) for slice_, stay in changed]
    for start in range(0, len(rest), result.per_slice_max):
        chunk = rest[start : start + result.per_slice_max]
        result.create.append(_new_slice(service, family, chunk, group.ports, labels))


def _unhinted(endpoint: Object) -> Object:
    if "hints" not in endpoint:
        return endpoint
    return {key: value for key, value in endpoint.items() if key != "hints"}


# --- hints


def _hint(
    service: Object,
    family: str,
    placed: _Placed,
    shares: Callable[[], Mapping[str, float]],
    result: Plan,
) -> None:
    """Say which clients should prefer which endpoint, as the Service asks."""
    if not topology_hints.asked_for(service):
        wish = service["spec"].get("trafficDistribution")
        _rehint(placed, lambda endpoint: _preferred(wish, endpoint), all=wish not in _CLOSE)
        return
    fresh = [*placed.create, *placed.update]
    count = len(fresh)
    rest = list(placed.unchanged)
    try:
        result.zones[family] = topology_hints.assign(fresh, rest, shares())
    except NoHints as error:
        result.no_hints.append(f"{error}, addressType: {family}")
        _rehint(placed, lambda _: {}, all=True)
        return
    placed.unchanged = rest
    placed.update += fresh[count:]


def _rehint(placed: _Placed, hints_of: Callable[[Object], Object], *, all: bool) -> None:
    """Give endpoints the hints they should have. In a slice that need not be written for another's sake, one
    that is not ready keeps those it had, unless `all` is said."""
    for slice_ in (*placed.create, *placed.update):
        slice_["endpoints"] = [_hinted(one, hints_of(one)) for one in slice_.get("endpoints") or ()]
    for slice_ in list(placed.unchanged):
        have = [one for one in slice_.get("endpoints") or () if all or topology_hints.is_ready(one)]
        if any((one.get("hints") or {}) != hints_of(one) for one in have):
            placed.unchanged.remove(slice_)
            hinted = [_hinted(one, hints_of(one)) for one in slice_["endpoints"]]
            placed.update.append({**slice_, "endpoints": hinted})


def _hinted(endpoint: Object, hints: Object) -> Object:
    return {**_unhinted(endpoint), "hints": hints} if hints else _unhinted(endpoint)


def _preferred(wish: Json, endpoint: Object) -> Object:
    """Return the hints of a Service's trafficDistribution."""
    if wish not in _CLOSE or not topology_hints.is_ready(endpoint):
        return {}
    hints: Object = {}
    if endpoint.get("zone"):
        hints["forZones"] = [{"name": endpoint["zone"]}]
    if wish == "PreferSameNode" and endpoint.get("nodeName"):
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints


# --- slices


def _reuse(service: Object, placed: _Placed) -> None:
    """Let slices that would go become those that would be made: one write instead of two."""
    for spare in [s for s in placed.delete if _is_of(s, service)]:
        if not placed.create:
            return
        made = placed.create.pop()
        placed.delete.remove(spare)
        placed.update.append(
            {**spare, **made, "metadata": {**spare["metadata"], "labels": meta.labels(made)}}
        )


def _identity(endpoint: Object) -> str:
    return str((endpoint.get("targetRef") or {}).get("uid") or "")


def _labels(service: Object) -> dict[str, str]:
    labels = {key: value for key, value in meta.labels(service).items() if key not in _RESERVED}
    labels[SERVICE_NAME] = meta.name(service)
    labels[MANAGED_BY] = MANAGER
    if ep.is_headless(service):
        labels[ep.HEADLESS] = ""
    return labels


def _changed(slice_: Object, endpoints: list[Object], labels: Mapping[str, str]) -> Object:
    new = meta.copy_path(slice_, "metadata")
    new["metadata"]["labels"] = dict(labels)
    new["endpoints"] = endpoints
    return new


def _new_slice(
    service: Object, family: str, endpoints: list[Object], ports: list[Object], labels: Mapping[str, str]
) -> Object:
    prefix = meta.name(service) + "-"
    return {
        "apiVersion": ENDPOINTSLICES.api_version,
        "kind": ENDPOINTSLICES.kind,
        "metadata": {
            "generateName": prefix if is_dns1123_subdomain(prefix + "x") else meta.name(service),
            "namespace": meta.namespace(service),
            "labels": dict(labels),
            "ownerReferences": [meta.owner_reference(service)],
        },
        "addressType": family,
        "endpoints": endpoints,
        "ports": ports,
    }
