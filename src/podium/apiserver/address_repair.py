"""IPAddress objects are kept true to the Services that hold the addresses, whatever is done to them.

An object of an address that a Service holds is made again when somebody has deleted it or made it another's;
one that says it is a Service's, and is not, goes. Each is told of by an event. What a start finds wrong is
mended before (registry/special/addresses.py). Upstream: pkg/registry/core/service/ipallocator/controller.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from podium.apiserver.cacher.entry import Entry, Event
from podium.apiserver.chain import LOOPBACK_USER, MASTERS, User
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import create
from podium.apiserver.registry.delete import DeleteOptions, delete
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.served import Served
from podium.apiserver.registry.special.addresses import follow_service
from podium.base.clock import parse_rfc3339, rfc3339_micro
from podium.base.ids import random_suffix
from podium.base.log import Log
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.events import EVENTS

COMPONENT = "ipallocator-repair-controller"
DELAY_S = 5.0
"""Until what belongs to one change of a Service has been written."""
LEAK_S = 60.0
"""As long as a request may take: then a Service that is not there will not come."""
_LABELS = {"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}
_USER = User(name=LOOPBACK_USER, groups=(MASTERS,))
_log = Log("podium.apiserver.addresses")


class AddressRepair:
    """Looks at each address a moment after its object has changed."""

    def __init__(self, registry: Registry, addresses: Served, services: Served) -> None:
        self._registry = registry
        self._addresses = addresses
        self._services = services
        self._due_s: dict[str, float] = {}
        self._holders: dict[str, str] = {}
        """Whose an address was before it changed, by namespace and name, until it has been looked at."""
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Repair, for ever. What fails is tried again."""
        clock = self._registry.clock
        self._addresses.root.subscribe(self._follow)
        self._due_s.clear()  # those there are have been seen to
        self._holders.clear()
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._due_s:
                now_s = clock.monotonic_s()
                for ip in [ip for ip, due_s in self._due_s.items() if due_s <= now_s]:
                    await self._look(ip)
                if self._due_s:
                    await clock.sleep(DELAY_S)

    def _follow(self, event: Event) -> None:
        entry = event.previous or event.entry
        if entry is None:
            return
        reference = meta.dig(self._object(entry), "spec", "parentRef", default={})
        if reference.get("resource") == "services":
            self._holders.setdefault(entry.name, f"{reference.get('namespace')}/{reference.get('name')}")
        self._look_in(entry.name, DELAY_S)

    def _look_in(self, ip: str, delay_s: float) -> None:
        self._due_s[ip] = self._registry.clock.monotonic_s() + delay_s
        self._changed.set()

    async def _look(self, ip: str) -> None:
        self._due_s.pop(ip, None)
        try:
            await self._repair(ip)
        except ApiError as error:
            _log.warning("an address was not repaired", address=ip, error=error.message)
            self._look_in(ip, DELAY_S)

    async def _repair(self, ip: str) -> None:
        holder = self._service(self._holders.pop(ip, ""))
        entry = self._addresses.root.entries.get(ip)
        address = None if entry is None else self._object(entry)
        if holder is not None and ip in (meta.dig(holder, "spec", "clusterIPs", default=())):
            why = _wrong(address, holder, ip)
            if why is not None:
                if why:
                    await self._tell(holder, "ClusterIPNotAllocated", "ClusterIPAllocation", why)
                if address is not None:
                    await self._delete(ip)
                await follow_service(self._registry, self._addresses, holder, None)
        elif address is not None and meta.labels(address).items() >= _LABELS.items():
            await self._clean_up(address)

    async def _clean_up(self, address: Object) -> None:
        """See to an object that says that it is a Service's, which holds no such address."""
        ip, reference = meta.name(address), meta.dig(address, "spec", "parentRef", default={})
        named = f"{reference.get('namespace')}/{reference.get('name')}"
        service = self._service(named)
        reason = "IPAddressNotAllocated"
        if reference.get("group") or reference.get("resource") != "services":
            why = f"IPAddress {ip} appears to have been modified, not referencing a Service: cleaning up"
        elif service is None:
            left_s = LEAK_S - _age_s(address, self._registry.clock.now())
            if left_s > 0:
                self._look_in(ip, left_s)
                return
            why = f"IPAddress: {ip} for Service {named} appears to have leaked: cleaning up"
        elif ip in (meta.dig(service, "spec", "clusterIPs", default=())):
            return
        else:
            reason = "IPAddressWrongReference"
            why = f"IPAddress: {ip} for Service {named} has a wrong reference; cleaning up"
        await self._tell(address, reason, "IPAddressAllocation", why)
        await self._delete(ip)

    async def _delete(self, ip: str) -> None:
        call = Call(served=self._addresses, user=_USER, name=ip)
        try:
            await delete(self._registry, call, DeleteOptions())
        except NotFound:
            return

    async def _tell(self, about: Object, reason: str, action: str, message: str) -> None:
        namespace = meta.namespace(about) or "default"
        now = self._registry.clock.now()
        event: Object = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{meta.name(about)}.{random_suffix()}", "namespace": namespace},
            "involvedObject": meta.object_reference(about),
            "reason": reason,
            "message": message,
            "action": action,
            "type": "Warning",
            "eventTime": rfc3339_micro(now),
            "reportingComponent": COMPONENT,
            "reportingInstance": f"{COMPONENT}-{self._registry.host or 'localhost'}",
        }
        call = Call(served=self._registry.catalog.of(EVENTS), user=_USER, namespace=namespace)
        await create(self._registry, call, event)

    def _service(self, key: str) -> Object | None:
        entry = self._services.root.entries.get(key)
        resource = self._services.resource
        return None if entry is None else entry.shared(resource.kind, resource.api_version)

    def _object(self, entry: Entry) -> Object:
        resource = self._addresses.resource
        return entry.shared(resource.kind, resource.api_version)


def _wrong(address: Object | None, holder: Object, ip: str) -> str | None:
    """Return what is wrong with the object of an address that a Service holds; "": nothing to tell of, and
    to be made again all the same; None: nothing is."""
    family = "IPv6" if ":" in ip else "IPv4"
    if address is None:
        return f"Cluster IP [{family}]: {ip} is not allocated; repairing"
    reference = meta.dig(address, "spec", "parentRef", default={})
    own = {"resource": "services", "namespace": meta.namespace(holder), "name": meta.name(holder)}
    if {key: value for key, value in reference.items() if value} != own:
        service = f"{meta.namespace(holder)}/{meta.name(holder)}"
        return f"the ClusterIP [{family}]: {ip} for Service {service} has a wrong reference; repairing"
    labelled = {**_LABELS, "ipaddress.kubernetes.io/ip-family": family}
    return None if meta.labels(address).items() >= labelled.items() else ""


def _age_s(obj: Object, now: datetime) -> float:
    created = meta.metadata(obj).get("creationTimestamp")
    return (now - parse_rfc3339(created)).total_seconds() if created else LEAK_S
