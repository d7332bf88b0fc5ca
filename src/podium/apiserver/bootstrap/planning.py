"""What a starting API server writes: decided from what there is, without touching anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podium.apiserver.bootstrap import cluster, flowcontrol, rbac
from podium.apiserver.chain import Reader
from podium.base.clock import rfc3339
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.feature_gates import FeatureGates
from podium.machinery.resource import Resource
from podium.resources.apiregistration.apiservices import APISERVICES
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.resources.flowcontrol.flowschemas import FLOWSCHEMAS
from podium.resources.flowcontrol.prioritylevelconfigurations import PRIORITYLEVELCONFIGURATIONS
from podium.resources.networking.ipaddresses import IPADDRESSES
from podium.resources.networking.servicecidrs import SERVICECIDRS
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES
from podium.resources.scheduling.priorityclasses import PRIORITYCLASSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the cluster's own objects depend on."""

    advertise_address: str
    port: int
    """Where the API server is reached at `advertise_address`."""
    service_cidr: str = "10.96.0.0/16"
    client_ca_pem: str = ""
    front_proxies: Mapping[str, str] = field(default_factory=dict)
    """What extension servers are told of front proxies."""
    group_versions: Sequence[tuple[str, str]] = ()
    """(group, version) of everything served by this server itself."""
    gates: FeatureGates = field(default_factory=lambda: FeatureGates(version="1.36"))
    """Some controllers have rights only where their feature is on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One object to create, or (when `current` is there) to update."""

    resource: Resource
    object: Object
    current: Object | None = None


Reconcile = Callable[[Object, Object], Object | None]
"""(wanted, current) -> what to store instead of current, or None to leave it."""


def plan(reader: Reader, options: Options, now: datetime) -> list[Write]:
    """Return the writes that make `reader`'s cluster complete; nothing on a cluster that is."""
    return list(_writes(reader, options, now))


def missing(reader: Reader, options: Options, now: datetime) -> list[Write]:
    """Return the writes that put back what pods cannot do without and what somebody has deleted.

    Only what is gone: another API server may have written its own address into what is there.
    """
    return [
        write
        for write in _writes(reader, options, now)
        if write.current is None and write.resource in _INDISPENSABLE
    ]


def unfit(reader: Reader, options: Options, now: datetime) -> tuple[list[Write], list[Write]]:
    """Return the writes that keep the flow-control objects as they should be, and those to be deleted."""
    kinds = (PRIORITYLEVELCONFIGURATIONS, FLOWSCHEMAS)
    writes = [write for write in _writes(reader, options, now) if write.resource in kinds]
    own = (flowcontrol.priority_levels(), flowcontrol.flow_schemas())
    gone = [
        Write(resource=kind, object=obj, current=obj)
        for kind, objects in reversed(tuple(zip(kinds, own, strict=True)))
        for obj in reader.cached(kind).list()
        if flowcontrol.is_unwanted(obj, {meta.name(one) for one in objects})
    ]
    return writes, gone


AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"

_INDISPENSABLE = (NAMESPACES, SERVICECIDRS, IPADDRESSES, SERVICES, ENDPOINTS, ENDPOINTSLICES)


def _writes(reader: Reader, options: Options, now: datetime) -> Iterator[Write]:
    addresses, port = [options.advertise_address], options.port
    service_address = cluster.service_address(options.service_cidr)
    wanted: list[tuple[Resource, Iterable[Object], Reconcile]] = [
        (NAMESPACES, cluster.namespaces(), _keep),
        (CLUSTERROLES, rbac.cluster_roles(options.gates), rbac.reconciled_role),
        (CLUSTERROLEBINDINGS, rbac.cluster_role_bindings(options.gates), rbac.reconciled_binding),
        (ROLES, rbac.roles(), rbac.reconciled_role),
        (ROLEBINDINGS, rbac.role_bindings(), rbac.reconciled_binding),
        (PRIORITYCLASSES, flowcontrol.priority_classes(), _keep),
        (PRIORITYLEVELCONFIGURATIONS, flowcontrol.priority_levels(), flowcontrol.revised),
        (FLOWSCHEMAS, _since(now, flowcontrol.flow_schemas()), flowcontrol.revised),
        (APISERVICES, cluster.api_services(options.group_versions, now), _follow_automanaged),
        (SERVICECIDRS, [cluster.service_cidr(options.service_cidr, now)], _keep),
        (IPADDRESSES, [cluster.ip_address(service_address)], _keep),
        (SERVICES, [cluster.service(options.service_cidr, port)], _follow_ports),
        (ENDPOINTS, [cluster.endpoints(addresses, port)], _follow("subsets")),
        (
            ENDPOINTSLICES,
            [cluster.endpoint_slice(addresses, port)],
            _follow("endpoints", "ports", "addressType"),
        ),
        (CONFIGMAPS, [cluster.token_tracking(now)], _keep),
    ]
    trusted = cluster.extension_authentication(options.client_ca_pem, options.front_proxies)
    if trusted["data"]:
        wanted.append((CONFIGMAPS, [trusted], _add_data))
    for resource, objects, reconcile in wanted:
        view = reader.cached(resource)
        for obj in objects:
            current = view.get(meta.namespace(obj) or None, meta.name(obj))
            if current is None:
                yield Write(resource=resource, object=obj)
                continue
            new = reconcile(obj, current)
            if new is not None:
                yield Write(resource=resource, object=new, current=current)


def _since(now: datetime, schemas: list[Object]) -> list[Object]:
    for schema in schemas:
        for condition in schema["status"]["conditions"]:
            condition["lastTransitionTime"] = rfc3339(now)
    return schemas


def _keep(_wanted: Object, _current: Object) -> Object | None:
    return None


def _follow(*fields: str) -> Reconcile:
    def reconcile(wanted: Object, current: Object) -> Object | None:
        if all(current.get(field) == wanted[field] for field in fields):
            return None
        return {**current, **{field: wanted[field] for field in fields}}

    return reconcile


def _follow_automanaged(wanted: Object, current: Object) -> Object | None:
    """Bring an APIService of this server's own up to date unless somebody has taken it over."""
    if AUTOMANAGED not in meta.labels(current):
        return None
    return _follow("spec")(wanted, current)


def _follow_ports(wanted: Object, current: Object) -> Object | None:
    if meta.dig(current, "spec", "ports") == wanted["spec"]["ports"]:
        return None
    new = meta.copy_path(current, "spec")
    new["spec"]["ports"] = wanted["spec"]["ports"]
    return new


def _add_data(wanted: Object, current: Object) -> Object | None:
    """Set the entries that this server knows; others may be another server's."""
    data = {**(current.get("data") or {}), **wanted["data"]}
    return None if data == current.get("data") else {**current, "data": data}
