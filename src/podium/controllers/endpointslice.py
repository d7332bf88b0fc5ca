"""EndpointSlices: the addresses behind each Service with a selector, at most a hundred in a slice.

`plan` compares what should be with the slices there are, and touches as few slices as it can, because every
changed slice is sent to every node. Upstream: staging/src/k8s.io/endpointslice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from podium.controllers.common import endpoints as ep
from podium.controllers.common import pods as podlib
from podium.controllers.common.by_key import ByKey
from podium.machinery import meta
from podium.machinery.errors import ApiError, Json, NotFound, Object
from podium.machinery.validation import is_dns1123_subdomain
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.runtime.controller import Caches, Context, Controller, Watch, own_key
from podium.runtime.informer import Delta

ENDPOINTS_PER_SLICE_MAX = 100
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
ZONE = "topology.kubernetes.io/zone"
_RESERVED = frozenset((SERVICE_NAME, MANAGED_BY, ep.HEADLESS))
_BY_SERVICE = "service"
_BY_NODE = "node"
MISSING_NODE_RETRY_S = 15.0


@dataclass(slots=True, kw_only=True)
class Plan:
    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    node_missing: bool = False
    """A pod was left out because its node does not exist (yet)."""


def plan(
    service: Object, pods: Iterable[Object], nodes: Mapping[str, Object], slices: Sequence[Object]
) -> Plan:
    """Decide what becomes of the Service's `slices` (our own ones)."""
    result = Plan()
    families = service["spec"].get("ipFamilies") or ["IPv4"]
    wanted = _wanted(service, pods, nodes, families, result)
    for family in families:
        ours = [s for s in slices if s.get("addressType") == family]
        _place(service, family, wanted[family], ours, result)
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
            result.node_missing = True
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
    hints = _hints(service, endpoint) if ready else {}
    if hints:
        endpoint["hints"] = hints
    return endpoint


def _hints(service: Object, endpoint: Object) -> Object:
    """Return which clients should prefer this endpoint, as the Service's trafficDistribution asks."""
    wish = service["spec"].get("trafficDistribution")
    hints: Object = {}
    if wish in ("PreferClose", "PreferSameZone", "PreferSameNode") and endpoint.get("zone"):
        hints["forZones"] = [{"name": endpoint["zone"]}]
    if wish == "PreferSameNode" and endpoint.get("nodeName"):
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints


def ports_key(ports: Json) -> str:
    """Return what is the same for slices with the same ports, whatever their order."""
    return repr(
        sorted((p.get("name") or "", p.get("port"), p.get("protocol"), p.get("appProtocol")) for p in ports)
    )


def _place(
    service: Object, family: str, groups: Mapping[str, _Group], slices: Sequence[Object], result: Plan
) -> None:
    """Distribute the endpoints of one address family over slices."""
    labels = _labels(service)
    by_ports: dict[str, list[Object]] = {}
    for slice_ in slices:
        by_ports.setdefault(ports_key(slice_.get("ports") or ()), []).append(slice_)
    kept = 0
    spare: list[Object] = []
    for key, existing in by_ports.items():
        if key not in groups:
            spare += existing
    for key, group in groups.items():
        kept += _place_group(service, family, group, by_ports.get(key, []), labels, result)
    if not kept:
        # A Service without endpoints keeps one empty slice, so that "none" can be told from "not known".
        empty = next((s for s in spare if not s.get("endpoints") and not s.get("ports")), None)
        if empty is None:
            result.create.append(_new_slice(service, family, [], [], labels))
        else:
            spare.remove(empty)
            if meta.labels(empty) != labels:
                result.update.append(_changed(empty, [], labels))
    result.delete += spare


def _place_group(
    service: Object,
    family: str,
    group: _Group,
    slices: Sequence[Object],
    labels: Mapping[str, str],
    result: Plan,
) -> int:
    """Place the endpoints with the same ports; return how many slices they take."""
    missing = dict(group.endpoints)
    keep: list[tuple[Object, list[Object]]] = []
    for slice_ in slices:
        stay = []
        for endpoint in slice_.get("endpoints") or ():
            wanted = missing.pop(_identity(endpoint), None)
            if wanted is not None:
                stay.append(wanted)
        keep.append((slice_, stay))

    def is_changed(entry: tuple[Object, list[Object]]) -> bool:
        slice_, stay = entry
        return stay != (slice_.get("endpoints") or []) or meta.labels(slice_) != labels

    rest = list(missing.values())
    # Slices that must be written anyway take in what is new, then a fitting one, then new slices.
    for entry in filter(is_changed, keep):
        room = ENDPOINTS_PER_SLICE_MAX - len(entry[1])
        entry[1].extend(rest[:room])
        rest = rest[room:]
    if rest:
        tail = len(rest) % ENDPOINTS_PER_SLICE_MAX or ENDPOINTS_PER_SLICE_MAX
        fitting = [e for e in keep if not is_changed(e) and len(e[1]) + tail <= ENDPOINTS_PER_SLICE_MAX]
        if fitting:
            fullest = max(fitting, key=lambda entry: len(entry[1]))
            fullest[1].extend(rest[len(rest) - tail :])
            rest = rest[: len(rest) - tail]
    count = 0
    for slice_, stay in keep:
        if not stay:
            result.delete.append(slice_)
            continue
        count += 1
        if is_changed((slice_, stay)):
            result.update.append(_changed(slice_, stay, labels))
    for start in range(0, len(rest), ENDPOINTS_PER_SLICE_MAX):
        chunk = rest[start : start + ENDPOINTS_PER_SLICE_MAX]
        result.create.append(_new_slice(service, family, chunk, group.ports, labels))
        count += 1
    return count


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


async def _reconcile(context: Context, key: str) -> float | None:
    service = context.caches[SERVICES].get(key)
    if service is None or not ep.has_selector(service) or meta.deleting(service):
        return None
    pods = [p for p in context.caches[PODS].list(meta.namespace(service)) if ep.selects(service, p)]
    slices = [s for s in context.caches[ENDPOINTSLICES].by_index(_BY_SERVICE, key) if not meta.deleting(s)]
    slices.sort(key=meta.name)
    decided = plan(service, pods, ByKey(context.caches[NODES]), slices)
    try:
        for slice_ in decided.create:
            await context.client.create(ENDPOINTSLICES, slice_)
        for slice_ in decided.update:
            await context.client.update(ENDPOINTSLICES, slice_)
        for slice_ in decided.delete:
            await _delete(context, slice_)
    except ApiError as error:
        message = f"Error updating Endpoint Slices for Service {key}: {error.message}"
        context.recorder.event(service, "Warning", "FailedToUpdateEndpointSlices", message)
        raise
    return MISSING_NODE_RETRY_S if decided.node_missing else None


async def _delete(context: Context, slice_: Object) -> None:
    try:
        await context.client.delete(
            ENDPOINTSLICES, meta.name(slice_), meta.namespace(slice_), uid=meta.uid(slice_)
        )
    except NotFound:
        return


def _service_of_slice(slice_: Object) -> Iterable[str]:
    labels = meta.labels(slice_)
    if labels.get(MANAGED_BY) == MANAGER and labels.get(SERVICE_NAME):
        return (f"{meta.namespace(slice_)}/{labels[SERVICE_NAME]}",)
    return ()


def _keys_of_slice(delta: Delta, _caches: Caches) -> Iterable[str]:
    keys: set[str] = set()
    for slice_ in (delta.old, delta.new):
        if slice_ is not None:
            keys.update(_service_of_slice(slice_))
    return keys


def _keys_of_node(delta: Delta, caches: Caches) -> Iterable[str]:
    """A node matters when it comes, goes, or changes its zone; heartbeats do not."""
    old, new = delta.old, delta.new
    if old is not None and new is not None and meta.labels(old).get(ZONE) == meta.labels(new).get(ZONE):
        return ()
    keys: set[str] = set()
    for pod in caches[PODS].by_index(_BY_NODE, meta.name(delta.object)):
        keys.update(ep.services_of_pod(Delta(old=None, new=pod), caches))
    return keys


def _node_of_pod(pod: Object) -> Iterable[str]:
    name = podlib.node_name(pod)
    return (name,) if name else ()


ENDPOINTSLICE = Controller(
    name="endpointslice-controller",
    watches=(
        Watch(resource=SERVICES, keys_of=own_key),
        Watch(resource=PODS, keys_of=ep.services_of_pod, indexes={_BY_NODE: _node_of_pod}),
        Watch(resource=NODES, keys_of=_keys_of_node),
        Watch(resource=ENDPOINTSLICES, keys_of=_keys_of_slice, indexes={_BY_SERVICE: _service_of_slice}),
    ),
    reconcile=_reconcile,
)
