"""Endpoints: the older form of EndpointSlices, one object for each Service with a selector.

Upstream: pkg/controller/endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common import endpoints as ep
from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES
from podium.runtime.controller import Context, Controller, Watch, own_key

MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
ADDRESSES_MAX = 1000


def plan(service: Object, pods: Iterable[Object], existing: Object | None) -> Object | None:
    """Return the Endpoints object to write, None when the one there is right."""
    subsets, over_capacity = _subsets(service, pods)
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
        new["subsets"] = subsets
    else:
        new.pop("subsets", None)
    return None if new == existing else new


def _subsets(service: Object, pods: Iterable[Object]) -> tuple[list[Object], bool]:
    """Return the subsets, one for each combination of ports, and whether addresses had to be left out."""
    publish_not_ready = bool(service["spec"].get("publishNotReadyAddresses"))
    headless_without_ports = ep.is_headless(service) and not service["spec"].get("ports")
    family_6 = (service["spec"].get("ipFamilies") or ["IPv4"])[0] == "IPv6"
    groups: dict[str, Object] = {}
    count = 0
    over_capacity = False
    for pod in sorted(pods, key=meta.name):
        if not ep.may_serve(pod, terminating=publish_not_ready):
            continue
        ip = next((ip for ip in ep.addresses(pod) if (":" in ip) == family_6), None)
        ports = ep.ports(service, pod)
        if ip is None or (not ports and not headless_without_ports):
            continue
        if count >= ADDRESSES_MAX:
            over_capacity = True
            break
        count += 1
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
        subset = {**group, "ports": ports}
        subsets.append({key: value for key, value in subset.items() if value})
    return subsets, over_capacity


async def _reconcile(context: Context, key: str) -> float | None:
    service = context.caches[SERVICES].get(key)
    existing = context.caches[ENDPOINTS].get(key)
    if service is None or meta.deleting(service):
        if service is None and existing is not None and meta.labels(existing).get(MANAGED_BY) == MANAGER:
            try:
                await context.client.delete(
                    ENDPOINTS, meta.name(existing), meta.namespace(existing), uid=meta.uid(existing)
                )
            except NotFound:
                return None
        return None
    if not ep.has_selector(service):
        return None
    pods = [p for p in context.caches[PODS].list(meta.namespace(service)) if ep.selects(service, p)]
    new = plan(service, pods, existing)
    if new is None:
        return None
    try:
        if existing is None:
            await context.client.create(ENDPOINTS, new)
        else:
            await context.client.update(ENDPOINTS, new)
    except ApiError as error:
        verb = "create" if existing is None else "update"
        reason = f"FailedTo{verb.capitalize()}Endpoint"
        message = f"Failed to {verb} endpoint {key}: {error.message}"
        context.recorder.event(new, "Warning", reason, message)
        raise
    return None


ENDPOINT = Controller(
    name="endpoints-controller",
    component="endpoint-controller",
    service_account="endpoint-controller",
    watches=(
        Watch(resource=SERVICES, keys_of=own_key),
        Watch(resource=PODS, keys_of=ep.services_of_pod),
        Watch(resource=ENDPOINTS, keys_of=own_key),
    ),
    reconcile=_reconcile,
)
