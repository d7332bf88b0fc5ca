"""Addresses and ports of Services: chosen from what there is (see `address_pool`), never given twice.

What is taken is read from the cached Services themselves, so nothing can leak: deleting a Service frees what
it had. Between choosing and storing, a choice is held by the write in flight.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable

from podium.apiserver.chain import View, ViewChange
from podium.apiserver.registry.special import service_fields as fields
from podium.apiserver.registry.special.address_figures import PortFigures
from podium.apiserver.registry.special.address_pool import AddressPool
from podium.base.metrics import Registry
from podium.machinery.errors import FieldError, InternalError, Invalid, Json, Object
from podium.machinery.resource import Resource
from podium.resources.core.service_validation import validate_addresses

Undo = Callable[[], None]
Record = Callable[[Object | None, Object | None], Awaitable[None]]
"""(new, old)"""

_ATTEMPTS = 64


class ServiceAllocator:
    """Allocates for all Services of one server."""

    def __init__(
        self,
        services: View,
        addresses: AddressPool,
        *,
        node_port_range: tuple[int, int],
        chance: random.Random | None = None,
        figures: PortFigures | None = None,
    ) -> None:
        self._addresses = addresses
        self._low, self._high = node_port_range
        self._random = chance or random.Random()
        self._ports: Counter[tuple[str, int]] = Counter()
        self._figures = figures or PortFigures(Registry())
        self._record: Record | None = None
        services.subscribe(self._follow)

    def recorded_by(self, record: Record) -> None:
        """Call `record` with each Service written, so that what it holds can be shown elsewhere."""
        self._record = record

    def collect(self) -> None:
        """Set the figures of what ports are taken."""
        taken = len({number for _, number in self._ports if self._low <= number <= self._high})
        self._figures.usage(taken=taken, free=self._high - self._low + 1 - taken)

    async def settle(self, new: Object | None, old: Object | None) -> None:
        """Note that a Service has been stored (`old` None: created; `new` None: deleted)."""
        if self._record is not None:
            await self._record(new, old)

    def _follow(self, change: ViewChange) -> None:
        # The new claims first, so that what stays taken is never free in between.
        if change.new is not None:
            self._claim(change.new["spec"], 1)
        if change.old is not None:
            self._claim(change.old["spec"], -1)

    def _claim(self, spec: Object, count: int) -> None:
        for address in _addresses(spec):
            self._addresses.claim(address, count)
        for port in _ports(spec):
            self._ports[port] += count
            if not self._ports[port]:
                del self._ports[port]

    def allocate(self, stored: Object, old: Object | None) -> Undo:
        """Complete the spec of a Service that is being created (`old` None) or updated.

        Returns what gives the reservations back; call it once the cache shows the Service, or when the write
        has failed. Raises `Invalid` for addresses and ports that cannot be had.
        """
        spec: Object = stored.setdefault("spec", {})
        before: Object = (old or {}).get("spec") or {}
        if old is not None:
            fields.keep_allocated(spec, before)
        fields.normalize_addresses(spec, before if old is not None else None)
        if old is not None:
            fields.drop_by_type(spec, before)
        fields.drop_unused(spec)
        fields.set_policy(spec)
        # What is malformed is told before anything is allocated.
        errors = validate_addresses(spec) or fields.set_families(spec, self._addresses.family)
        if errors:
            raise Invalid.of("Service", "", stored["metadata"].get("name") or "", errors)
        held = _Held(self)
        try:
            errors = self._allocate_address(stored, before, held)
            errors += self._allocate_ports(spec, before, held)
            if errors:
                raise Invalid.of("Service", "", stored["metadata"].get("name") or "", errors)
        except BaseException:
            held.release()
            raise
        return held.release

    # --- addresses

    def _allocate_address(self, service: Object, before: Object, held: _Held) -> list[FieldError]:
        spec: Object = service["spec"]
        if not fields.needs_cluster_ip(spec) or fields.is_headless(spec):
            return []
        if before and fields.needs_cluster_ip(before):
            # Validation says that an address may neither be taken away nor replaced.
            return []
        asked = [address for address in spec.get("clusterIPs") or () if address]
        if asked:
            return self._take_addresses(asked, held)
        address = self._addresses.free()
        if address is None:
            name = service["metadata"].get("name") or ""
            raise _range_is_full(f'a serviceIP for Service "{name}"')
        held.address(address)
        spec["clusterIP"] = address
        spec["clusterIPs"] = [address]
        return []

    def _take_addresses(self, asked: list[str], held: _Held) -> list[FieldError]:
        for address in asked:
            why = self._addresses.choose(address)
            if why:
                detail = f"failed to allocate IP {address}: {why}"
                return [FieldError.invalid("spec.clusterIPs", asked, detail)]
            held.address(address)
        return []

    # --- ports

    def _allocate_ports(self, spec: Object, before: Object, held: _Held) -> list[FieldError]:
        had = {number for _, number in _ports(before)}
        errors: list[FieldError] = []
        if fields.needs_node_port(spec):
            chosen: dict[int, set[str]] = {}
            for index, port in enumerate(spec.get("ports") or ()):
                if port.get("nodePort"):
                    chosen.setdefault(port["nodePort"], set()).add(port.get("protocol", "TCP"))
                    errors += self._take_port(index, port, had, held)
            numbered: dict[Json, list[Object]] = {}
            """The ports that have a node port, by their own."""
            for port in spec.get("ports") or ():
                if port.get("nodePort"):
                    numbered.setdefault(port.get("port"), []).append(port)
            for port in spec.get("ports") or ():
                if not port.get("nodePort"):
                    alike = numbered.setdefault(port.get("port"), [])
                    port["nodePort"] = self._port_for(port, alike, held)
                    alike.append(port)
        if fields.needs_health_check_port(spec) and not spec.get("healthCheckNodePort"):
            spec["healthCheckNodePort"] = self._free_port(held, "TCP")
        return errors

    def _take_port(self, index: int, port: Object, had: set[int], held: _Held) -> list[FieldError]:
        number, protocol = port["nodePort"], port.get("protocol", "TCP")
        field = f"spec.ports[{index}].nodePort"
        if not self._low <= number <= self._high:
            self._figures.refused("static")
            valid = f"{self._low}-{self._high}"
            detail = f"provided port is not in the valid range. The range of valid ports is {valid}"
            return [FieldError.invalid(field, number, detail)]
        if number in had or held.has_port(number):
            return []
        if any(self._ports[other, number] for other in ("TCP", "UDP", "SCTP")):
            self._figures.refused("static")
            return [FieldError.invalid(field, number, "provided port is already allocated")]
        held.port(protocol, number)
        self._figures.given("static")
        return []

    def _port_for(self, port: Object, alike: list[Object], held: _Held) -> int:
        """Return a port; the same number for one service port in two protocols (DNS's TCP and UDP).

        `alike` are ports of the same number that have a node port already.
        """
        for other in alike:
            if other.get("protocol", "TCP") != port.get("protocol", "TCP"):
                return int(other["nodePort"])
        return self._free_port(held, port.get("protocol", "TCP"))

    def _free_port(self, held: _Held, protocol: str) -> int:
        def free(number: int) -> bool:
            return not any(self._ports[other, number] for other in ("TCP", "UDP", "SCTP"))

        for _ in range(_ATTEMPTS):
            number = self._random.randint(self._low, self._high)
            if free(number):
                return self._given(held, protocol, number)
        for number in range(self._low, self._high + 1):
            if free(number):
                return self._given(held, protocol, number)
        self._figures.refused("dynamic")
        raise _range_is_full("a nodePort")

    def _given(self, held: _Held, protocol: str, number: int) -> int:
        held.port(protocol, number)
        self._figures.given("dynamic")
        return number


class _Held:
    """Reservations of one write in flight."""

    def __init__(self, allocator: ServiceAllocator) -> None:
        self._allocator = allocator
        self._addresses: list[str] = []
        self._ports: list[tuple[str, int]] = []

    def address(self, address: str) -> None:
        self._allocator._addresses.claim(address, 1)
        self._addresses.append(address)

    def port(self, protocol: str, number: int) -> None:
        self._allocator._ports[protocol, number] += 1
        self._ports.append((protocol, number))

    def has_port(self, number: int) -> bool:
        return any(held == number for _, held in self._ports)

    def release(self) -> None:
        allocator = self._allocator
        for address in self._addresses:
            allocator._addresses.claim(address, -1)
        for port in self._ports:
            allocator._ports[port] -= 1
            if not allocator._ports[port]:
                del allocator._ports[port]
        self._addresses, self._ports = [], []


def _range_is_full(wanted: str) -> InternalError:
    text = f"failed to allocate {wanted}: range is full"
    return InternalError(f"Internal error occurred: {text}", details={"causes": [{"message": text}]})


def _addresses(spec: Object) -> list[str]:
    return [address for address in spec.get("clusterIPs") or () if address and address != fields.NONE]


def _ports(spec: Object) -> list[tuple[str, int]]:
    found = {
        (port.get("protocol", "TCP"), port["nodePort"])
        for port in spec.get("ports") or ()
        if port.get("nodePort")
    }
    if spec.get("healthCheckNodePort"):
        found.add(("TCP", spec["healthCheckNodePort"]))
    return sorted(found)


def is_service(resource: Resource) -> bool:
    return resource.kind == "Service" and not resource.group
