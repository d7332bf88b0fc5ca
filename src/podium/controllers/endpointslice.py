"""EndpointSlices: the addresses behind each Service with a selector, at most a hundred in a slice.

`plan` (endpointslice_plan.py) compares what should be with the slices there are, and touches as few slices as
it can, because every changed slice is sent to every node. Upstream: pkg/controller/endpointslice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from podium.controllers.common import endpoints as ep
from podium.controllers.common import pods as podlib
from podium.controllers.common import topology_hints
from podium.controllers.common.by_key import ByKey
from podium.controllers.common.topology_hints import ZONE, Zones
from podium.controllers.common.trigger_times import TriggerTimes, noted
from podium.controllers.endpointslice_plan import (
    ENDPOINTS_PER_SLICE_MAX,
    MANAGED_BY,
    MANAGER,
    SERVICE_NAME,
    Plan,
    plan,
)
from podium.controllers.figures import EndpointSliceMetrics
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.runtime.controller import Caches, Context, Controller, Watch, namespace_is_terminating
from podium.runtime.informer import Delta

_BY_SERVICE = "service"
_BY_NODE = "node"
MISSING_NODE_RETRY_S = 15.0


class _EndpointSlices:
    """The reconcile, and what it remembers between two looks at a Service."""

    def __init__(self, per_slice_max: int) -> None:
        self._per_slice_max = per_slice_max
        self.times = TriggerTimes()
        self.zones: dict[str, dict[str, Zones]] = {}
        """Services whose endpoints have topology-aware hints: for which zones, by address family."""

    async def reconcile(self, context: Context, key: str) -> float | None:
        service = context.caches[SERVICES].get(key)
        if service is None:
            self.times.forget(key)
            self.zones.pop(key, None)
            return None
        if not ep.has_selector(service):
            return None
        pods = ep.pods_of(service, context.caches)
        slices = [
            s for s in context.caches[ENDPOINTSLICES].by_index(_BY_SERVICE, key) if not meta.deleting(s)
        ]
        slices.sort(key=meta.name)
        changed_at = self.times.last_change(service, pods)
        nodes = context.caches[NODES]

        def shares() -> Mapping[str, float]:
            return topology_hints.ratios(nodes.list())

        decided = plan(service, pods, ByKey(nodes), slices, shares, self._per_slice_max)
        metrics = context.metrics.of(EndpointSliceMetrics)
        try:
            await _write(context, service, decided, changed_at)
            metrics.look(slices, decided.create, decided.update, decided.delete)
            metrics.syncs.labels("success").inc()
        except ApiError as error:
            metrics.syncs.labels("error").inc()
            _tell(context, service, "FailedToUpdateEndpointSlices", _failed(key, error.message))
            raise
        self._tell_of_hints(context, service, decided)
        missing = decided.missing
        if missing:
            text = missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
            _tell(context, service, "FailedToUpdateEndpointSlices", _failed(key, text))
            return MISSING_NODE_RETRY_S
        return None

    def _tell_of_hints(self, context: Context, service: Object, decided: Plan) -> None:
        key = meta.key(service)
        for why in decided.no_hints:
            _tell(context, service, "TopologyAwareHintsDisabled", why)
        if decided.zones:
            if key not in self.zones:
                family = next(iter(decided.zones))
                message = f"{topology_hints.ENABLED}, addressType: {family}"
                _tell(context, service, "TopologyAwareHintsEnabled", message, type="Normal")
            self.zones[key] = decided.zones
        elif self.zones.pop(key, None) is not None and not decided.no_hints:
            for family in service["spec"].get("ipFamilies") or ["IPv4"]:
                message = f"{topology_hints.DISABLED}, addressType: {family}"
                _tell(context, service, "TopologyAwareHintsDisabled", message)

    def keys_of_node(self, delta: Delta, caches: Caches) -> Iterable[str]:
        """A node matters when it comes, goes, or changes its zone; heartbeats do not. Whether it is ready
        matters where endpoints are shared out by the nodes' CPUs."""
        old, new = delta.old, delta.new
        moved = old is None or new is None or meta.labels(old).get(ZONE) != meta.labels(new).get(ZONE)
        readied = old is None or new is None or podlib.is_ready(old) != podlib.is_ready(new)
        keys: set[str] = set()
        if moved:
            for pod in caches[PODS].by_index(_BY_NODE, meta.name(delta.object)):
                keys.update(ep.services_of_pod(Delta(old=None, new=pod), caches))
        if self.zones and (moved or readied):
            shares = topology_hints.ratios(caches[NODES].list())
            keys.update(
                key
                for key, zones in self.zones.items()
                if any(topology_hints.overloaded(one, shares) for one in zones.values())
            )
        return keys


def _failed(key: str, why: str) -> str:
    return f"Error updating Endpoint Slices for Service {key}: {why}"


def _tell(context: Context, service: Object, reason: str, message: str, *, type: str = "Warning") -> None:
    context.recorder.event(service, type, reason, message)


async def _write(context: Context, service: Object, decided: Plan, changed_at: str) -> None:
    # One that is going makes no more: the garbage collector may be deleting them at this moment.
    for slice_ in () if meta.deleting(service) else decided.create:
        try:
            await context.client.create(ENDPOINTSLICES, noted(slice_, changed_at))
        except ApiError as error:
            if namespace_is_terminating(error):
                return
            raise
    for slice_ in decided.update:
        await context.client.update(ENDPOINTSLICES, noted(slice_, changed_at))
    for slice_ in decided.delete:
        await _delete(context, slice_)


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


def _node_of_pod(pod: Object) -> Iterable[str]:
    name = podlib.node_name(pod)
    return (name,) if name else ()


def endpointslice(per_slice_max: int = ENDPOINTS_PER_SLICE_MAX) -> Controller:
    """Return the controller, which puts at most `per_slice_max` endpoints into a slice."""
    slices = _EndpointSlices(per_slice_max)
    return Controller(
        name="endpointslice-controller",
        watches=(
            *ep.SERVICES_AND_PODS,
            Watch(resource=PODS, indexes={_BY_NODE: _node_of_pod}),
            Watch(resource=NODES, keys_of=slices.keys_of_node),
            Watch(resource=ENDPOINTSLICES, keys_of=_keys_of_slice, indexes={_BY_SERVICE: _service_of_slice}),
        ),
        reconcile=slices.reconcile,
        on_start=lambda context: context.metrics.of(EndpointSliceMetrics).follow(context),
    )
