"""The cluster's zone: which name has which records. Pure; built from services and EndpointSlices.

The names are those of the Kubernetes DNS specification 1.1.0:

    SERVICE.NAMESPACE.svc.ZONE              A of the cluster IP; of every ready endpoint when headless
    ENDPOINT.SERVICE.NAMESPACE.svc.ZONE     A of one endpoint of a headless service, by hostname or dashed IP
    _PORT._PROTO.SERVICE.NAMESPACE.svc.ZONE SRV to the names above
    A-B-C-D.NAMESPACE.pod.ZONE              A of a pod's address
    and the reverse names of cluster IPs and of endpoints that have a name
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from podium.machinery import meta
from podium.machinery.errors import Object

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
SPECIFICATION_VERSION = "1.1.0"


@dataclass(frozen=True, slots=True)
class Service:
    """The SRV record's right-hand side."""

    port: int
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What one name has."""

    addresses: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    alias: str = ""
    """A CNAME's target."""
    pointer: str = ""
    text: str = ""


NOTHING = Records()
"""A name that exists and has no record of its own, such as `NAMESPACE.svc.ZONE`."""


@dataclass(slots=True, kw_only=True)
class _Building:
    names: dict[str, Records] = field(default_factory=dict)

    def add(
        self, name: str, *, addresses: Sequence[str] = (), services: Sequence[Service] = (), alias: str = ""
    ) -> None:
        known = self.names.get(name, NOTHING)
        self.names[name] = Records(
            addresses=tuple(dict.fromkeys([*known.addresses, *addresses])),
            services=tuple(dict.fromkeys([*known.services, *services])),
            alias=alias or known.alias,
        )

    def point(self, address: str, name: str) -> None:
        self.names.setdefault(reverse_name(address), Records(pointer=name))


def service_records(service: Object, slices: Iterable[Object], *, zone: str) -> Mapping[str, Records]:
    """Return every name that `service` accounts for, in lower case without the closing dot."""
    building = _Building()
    spec = service.get("spec", {})
    base = f"{meta.name(service)}.{meta.namespace(service)}.svc.{zone}".lower()
    if spec.get("type") == "ExternalName":
        building.add(base, alias=str(spec.get("externalName", "")).rstrip(".").lower())
    elif spec.get("clusterIP") == "None":
        _headless(building, base, slices, publish_all=bool(spec.get("publishNotReadyAddresses")))
    elif spec.get("clusterIP"):
        _with_cluster_ip(building, base, spec)
    return building.names


def _with_cluster_ip(building: _Building, base: str, spec: Object) -> None:
    addresses = [ip for ip in spec.get("clusterIPs") or [spec["clusterIP"]] if ":" not in ip]
    building.add(base, addresses=addresses)
    for address in addresses:
        building.point(address, base)
    for port in spec.get("ports") or ():
        _add_srv(building, base, port.get("name", ""), port.get("protocol", "TCP"), port["port"], base)


def _headless(building: _Building, base: str, slices: Iterable[Object], *, publish_all: bool) -> None:
    building.add(base)
    for endpoint_slice in slices:
        if endpoint_slice.get("addressType") != "IPv4":
            continue
        for endpoint in endpoint_slice.get("endpoints") or ():
            ready = (endpoint.get("conditions") or {}).get("ready") is not False
            if not ready and not publish_all:
                continue
            for address in endpoint["addresses"]:
                label = endpoint.get("hostname") or address.replace(".", "-")
                name = f"{label}.{base}".lower()
                building.add(base, addresses=[address])
                building.add(name, addresses=[address])
                if endpoint.get("hostname"):
                    building.point(address, name)
                for port in endpoint_slice.get("ports") or ():
                    if port.get("port"):
                        _add_srv(
                            building,
                            base,
                            port.get("name") or "",
                            port.get("protocol", "TCP"),
                            port["port"],
                            name,
                        )


def _add_srv(building: _Building, base: str, name: str, protocol: str, port: int, target: str) -> None:
    if name:
        building.add(f"_{name}._{protocol}.{base}".lower(), services=[Service(port, target)])
    building.add(base, services=[Service(port, target)])


def reverse_name(address: str) -> str:
    """Return the name under which `address` has its PTR record."""
    return ipaddress.ip_address(address).reverse_pointer


class Zone:
    """All names of the cluster. A change of a service costs what that service has, not what the zone has."""

    def __init__(self, zone: str) -> None:
        self.name = zone.rstrip(".").lower()
        self._of_service: dict[str, Mapping[str, Records]] = {}
        self._names: dict[str, Records] = {}
        # How many names lie below each name: one with names below it exists, though it has no records.
        self._below: dict[str, int] = {}
        self._namespaces: frozenset[str] = frozenset()
        self._add(f"dns-version.{self.name}", Records(text=SPECIFICATION_VERSION))
        for name in (self.name, f"svc.{self.name}", f"pod.{self.name}"):
            self._add(name, NOTHING)

    def replace(self, key: str, records: Mapping[str, Records]) -> None:
        """Set the names of the service `key`; none removes it."""
        for name in self._of_service.pop(key, {}):
            self._remove(name)
        if records:
            self._of_service[key] = records
            for name, found in records.items():
                self._add(name, found)

    def set_namespaces(self, names: Iterable[str]) -> None:
        """Say which namespaces exist: pod names resolve in these only."""
        self._namespaces = frozenset(names)

    def holds(self, name: str) -> bool:
        """Tell whether this zone, and no other server, is to answer for `name` (lower case, no dot)."""
        return name == self.name or name.endswith("." + self.name) or name in self._names

    def find(self, name: str) -> Records | None:
        """Return what `name` has, or None when it does not exist."""
        found = self._names.get(name)
        if found is not None:
            return found
        if name in self._below:
            return NOTHING
        return self._pod(name)

    def _pod(self, name: str) -> Records | None:
        # Not verified against pods, as upstream's default is: the address is in the name already.
        suffix = f".pod.{self.name}"
        if not name.endswith(suffix):
            return None
        labels = name.removesuffix(suffix).split(".")
        if labels[-1] not in self._namespaces:
            return None
        if len(labels) == 1:
            return NOTHING
        if len(labels) != 2:
            return None
        try:
            address = str(ipaddress.IPv4Address(labels[0].replace("-", ".")))
        except ValueError:
            return None
        return Records(addresses=(address,))

    def _add(self, name: str, records: Records) -> None:
        if name not in self._names:
            for parent in _parents(name):
                self._below[parent] = self._below.get(parent, 0) + 1
        self._names[name] = records

    def _remove(self, name: str) -> None:
        if self._names.pop(name, None) is None:
            return
        for parent in _parents(name):
            count = self._below[parent] - 1
            if count:
                self._below[parent] = count
            else:
                del self._below[parent]


def _parents(name: str) -> Iterable[str]:
    while "." in name:
        name = name.partition(".")[2]
        yield name
