"""Addresses for load balancers: which there are, and which one comes next. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from podium.machinery import meta
from podium.machinery.errors import Object

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Exhausted(Exception):
    """No address is left, or not the one that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Ranges of addresses, first and last included."""

    ranges: tuple[tuple[Address, Address], ...]

    @classmethod
    def parse(cls, text: str) -> Pool:
        """Read `CIDR` and `FIRST-LAST`, separated by commas. Raises ValueError.

        Of a CIDR with more than two IPv4 addresses, network and broadcast address are left out.
        """
        return cls(ranges=tuple(_range(word.strip()) for word in text.split(",") if word.strip()))

    def addresses(self, version: int) -> Iterator[Address]:
        for first, last in self.ranges:
            if first.version == version:
                kind = type(first)
                for number in range(int(first), int(last) + 1):
                    yield kind(number)

    def __contains__(self, address: Address) -> bool:
        return any(
            first.version == address.version and int(first) <= int(address) <= int(last)
            for first, last in self.ranges
        )


def _range(word: str) -> tuple[Address, Address]:
    first, dash, last = word.partition("-")
    if dash:
        bounds = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
        if bounds[0].version != bounds[1].version or int(bounds[0]) > int(bounds[1]):
            raise ValueError(f"{word!r} is no range of addresses")
        return bounds
    network = ipaddress.ip_network(word)
    edge = 1 if network.version == 4 and network.num_addresses > 2 else 0
    return network[edge], network[network.num_addresses - 1 - edge]


def owner(service: Object) -> str:
    """Return how the ledger names a Service. The uid first: it decides, the rest is for people."""
    return f"{meta.uid(service)} {meta.namespace(service)}/{meta.name(service)}"


def held(ledger: Mapping[str, str], uid: str) -> list[str]:
    """Return the addresses that the Service with this uid has, IPv4 first."""
    addresses = [ipaddress.ip_address(a) for a, who in ledger.items() if who.partition(" ")[0] == uid]
    return [str(a) for a in sorted(addresses, key=lambda a: (a.version, int(a)))]


def allocate(pool: Pool, ledger: Mapping[str, str], service: Object) -> list[str]:
    """Return the addresses the Service is to have: those it has, and the lowest free ones for what it lacks.

    One for each of its IP families that the pool has addresses of. Raises Exhausted.
    """
    spec = service.get("spec") or {}
    versions = [6 if family == "IPv6" else 4 for family in spec.get("ipFamilies") or ("IPv4",)]
    mine = {ipaddress.ip_address(a) for a in held(ledger, meta.uid(service))}
    mine = {a for a in mine if a in pool}
    wish = _wish(pool, ledger, service)
    chosen: list[Address] = []
    for version in versions:
        if wish is not None and wish.version == version:
            chosen.append(wish)
            continue
        kept = next((a for a in mine if a.version == version), None)
        free = kept or next((a for a in pool.addresses(version) if str(a) not in ledger), None)
        if free is not None:
            chosen.append(free)
        elif any(first.version == version for first, _ in pool.ranges):
            raise Exhausted("no address is left in the load balancer range")
    if not chosen:
        raise Exhausted("the load balancer range has no addresses of the service's IP families")
    return [str(a) for a in chosen]


def _wish(pool: Pool, ledger: Mapping[str, str], service: Object) -> Address | None:
    text = (service.get("spec") or {}).get("loadBalancerIP")
    if not text:
        return None
    wish = ipaddress.ip_address(text)
    if wish not in pool:
        raise Exhausted(f"address {wish} is not in the load balancer range")
    who, _, name = ledger.get(str(wish), "").partition(" ")
    if who and who != meta.uid(service):
        raise Exhausted(f"address {wish} belongs to service {name}")
    return wish


def without(ledger: Mapping[str, str], uids: Collection[str]) -> dict[str, str]:
    """Return the ledger without the addresses of these Services."""
    gone = frozenset(uids)
    return {address: who for address, who in ledger.items() if who.partition(" ")[0] not in gone}
