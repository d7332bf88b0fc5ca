"""Service ports as nftables: the whole table, or the commands that lead from one state to another. Pure.

The table, whose name is the caller's:

    prerouting, output (nat)  → vmap service-ips   addr . proto . port → the port's chain
                              → vmap node-ports    proto . port, for addresses of this node
    service/…                 dnat to one endpoint at random, or to the client's own when it has one
    external/…                the same for traffic from outside: marked for masquerade unless Local
    endpoint/…                with affinity only: remember the client, then dnat
    postrouting               masquerade what is marked, and what a pod sends to itself through a service
    forward, output, input    reject what is still addressed to a service: no endpoints, or no such port

Every text this module returns is one transaction for `nft -f -`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from podium.proxy.plan import Endpoint, ServicePort

# Upstream's bit, so that other packet filters of the machine know it.
MASQUERADE_MARK = 0x4000

_HAIRPINS = "hairpins"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    name: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Set:
    """A set that the kernel fills: the clients bound to an endpoint."""

    name: str
    timeout_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Everything of the table that one service port accounts for."""

    chains: tuple[_Chain, ...]
    sets: tuple[_Set, ...]
    elements: tuple[tuple[str, str], ...]
    """(map or set, element)."""
    keys: tuple[tuple[str, str], ...]
    """The same, without verdicts: how an element is named to delete it."""


def full(table: str, cluster_cidr: str, ports: Iterable[ServicePort]) -> str:
    """Return the transaction that makes the table hold exactly `ports`, whatever it held before."""
    lines = [f"add table ip {table}", f"delete table ip {table}", *_frame(table, cluster_cidr)]
    lines += _additions(table, _united(cluster_cidr, ports))
    return "\n".join(lines) + "\n"


def change(table: str, cluster_cidr: str, before: Iterable[ServicePort], after: Iterable[ServicePort]) -> str:
    """Return the transaction from `before` to `after`, two states of the services that changed, or "".

    Addresses are shared between the ports of a service, so both lists hold all ports of their services.
    """
    old, new = _united(cluster_cidr, before), _united(cluster_cidr, after)
    if old == new:
        return ""
    lines: list[str] = []
    kept_elements = set(old.elements) & set(new.elements)
    for (name, element), (_, key) in zip(old.elements, old.keys, strict=True):
        # Another service may have the same pod behind it, and a pair too many does no harm.
        if (name, element) not in kept_elements and name != _HAIRPINS:
            lines.append(f"delete element ip {table} {name} {{ {key} }}")
    old_chains = {chain.name: chain for chain in old.chains}
    new_chains = {chain.name: chain for chain in new.chains}
    old_sets, new_sets = {s.name: s for s in old.sets}, {s.name: s for s in new.sets}
    stale = [set_ for set_ in new_sets.values() if set_.name in old_sets and set_ != old_sets[set_.name]]
    if stale:
        # A timeout cannot be changed in place, and a set that rules use cannot be deleted.
        lines += [f"flush chain ip {table} {name}" for name in old_chains]
        lines += [f"delete set ip {table} {set_.name}" for set_ in stale]
        old_chains = {name: _Chain(name=name, rules=()) for name in old_chains}
    lines += [_add_set(table, s) for s in new_sets.values() if s.name not in old_sets or s in stale]
    changed = [chain for chain in new.chains if chain != old_chains.get(chain.name)]
    for chain in changed:
        lines += [f"add chain ip {table} {chain.name}", f"flush chain ip {table} {chain.name}"]
    for chain in changed:
        lines += [f"add rule ip {table} {chain.name} {rule}" for rule in chain.rules]
    gone = [name for name in old_chains if name not in new_chains]
    lines += [f"flush chain ip {table} {name}" for name in gone]
    lines += [f"delete chain ip {table} {name}" for name in gone]
    lines += [f"delete set ip {table} {name}" for name in old_sets if name not in new_sets]
    for name, element in new.elements:
        if (name, element) not in kept_elements:
            lines.append(f"add element ip {table} {name} {{ {element} }}")
    return "\n".join(lines) + "\n"


def removal(table: str) -> str:
    """Return the transaction that leaves nothing of the table."""
    return f"add table ip {table}\ndelete table ip {table}\n"


def _frame(table: str, cluster_cidr: str) -> Iterator[str]:
    yield f"add table ip {table}"
    yield f"add map ip {table} service-ips {{ type ipv4_addr . inet_proto . inet_service : verdict; }}"
    yield f"add map ip {table} node-ports {{ type inet_proto . inet_service : verdict; }}"
    yield f"add set ip {table} cluster-ips {{ type ipv4_addr; }}"
    yield f"add set ip {table} unreachable {{ type ipv4_addr . inet_proto . inet_service; }}"
    yield f"add set ip {table} hairpins {{ type ipv4_addr . ipv4_addr; }}"
    hooks = {
        "prerouting": "type nat hook prerouting priority dstnat;",
        # nft 1.0 knows the name dstnat (-100) only for prerouting.
        "output": "type nat hook output priority -100;",
        "postrouting": "type nat hook postrouting priority srcnat;",
        "filter-input": "type filter hook input priority filter;",
        "filter-forward": "type filter hook forward priority filter;",
        "filter-output": "type filter hook output priority filter;",
    }
    for chain, hook in hooks.items():
        yield f"add chain ip {table} {chain} {{ {hook} }}"
    yield f"add chain ip {table} services"
    yield f"add chain ip {table} unserved"
    for chain in ("prerouting", "output"):
        yield f"add rule ip {table} {chain} jump services"
    yield f"add rule ip {table} services ip daddr . meta l4proto . th dport vmap @service-ips"
    # Upstream, too, leaves loopback out: a packet from 127.0.0.1 could not be routed to a pod.
    yield (
        f"add rule ip {table} services fib daddr type local ip daddr != 127.0.0.0/8"
        " meta l4proto . th dport vmap @node-ports"
    )
    clear = 0xFFFFFFFF ^ MASQUERADE_MARK
    yield (
        f"add rule ip {table} postrouting meta mark & {MASQUERADE_MARK:#x} != 0"
        f" meta mark set meta mark & {clear:#x} masquerade fully-random"
    )
    yield (
        f"add rule ip {table} postrouting ct status dnat ip saddr . ip daddr @hairpins"
        " masquerade fully-random"
    )
    for chain in ("filter-input", "filter-forward", "filter-output"):
        yield f"add rule ip {table} {chain} ct state new jump unserved"
    yield f"add rule ip {table} unserved ip daddr @cluster-ips reject"
    yield f"add rule ip {table} unserved ip daddr . meta l4proto . th dport @unreachable reject"


def _additions(table: str, parts: _Parts) -> Iterator[str]:
    for set_ in parts.sets:
        yield _add_set(table, set_)
    for chain in parts.chains:
        yield f"add chain ip {table} {chain.name}"
    for chain in parts.chains:
        for rule in chain.rules:
            yield f"add rule ip {table} {chain.name} {rule}"
    by_name: dict[str, list[str]] = {}
    for name, element in parts.elements:
        by_name.setdefault(name, []).append(element)
    for name, elements in by_name.items():
        yield f"add element ip {table} {name} {{ {', '.join(elements)} }}"


def _add_set(table: str, set_: _Set) -> str:
    return (
        f"add set ip {table} {set_.name}"
        f" {{ type ipv4_addr; flags dynamic,timeout; timeout {set_.timeout_s}s; }}"
    )


def _united(cluster_cidr: str, ports: Iterable[ServicePort]) -> _Parts:
    """Return the parts of several service ports; what two of them share is there once."""
    chains: dict[str, _Chain] = {}
    sets: dict[str, _Set] = {}
    elements: dict[tuple[str, str], tuple[str, str]] = {}
    for port in ports:
        parts = _parts(port, cluster_cidr)
        chains.update({chain.name: chain for chain in parts.chains})
        sets.update({set_.name: set_ for set_ in parts.sets})
        for element, key in zip(parts.elements, parts.keys, strict=True):
            # Two services may claim one external address and port: the first keeps it.
            elements.setdefault(key, element)
    return _Parts(
        chains=tuple(chains.values()),
        sets=tuple(sets.values()),
        elements=tuple(elements.values()),
        keys=tuple(elements),
    )


def _parts(port: ServicePort, cluster_cidr: str) -> _Parts:
    chains: list[_Chain] = []
    sets: list[_Set] = []
    elements: list[tuple[str, str]] = []
    keys: list[tuple[str, str]] = []

    def add(name: str, key: str, verdict: str = "") -> None:
        keys.append((name, key))
        elements.append((name, f"{key} : {verdict}" if verdict else key))

    service_chain = _quoted(f"service/{port.id}")
    external_chain = _quoted(f"external/{port.id}")
    target = f"{port.cluster_ip} . {port.protocol} . {port.port}"
    add("cluster-ips", port.cluster_ip)
    everywhere = sorted({*port.endpoints, *port.external_endpoints})
    if port.affinity_s:
        for endpoint in everywhere:
            sets.append(_Set(name=_affinity_set(port, endpoint), timeout_s=port.affinity_s))
            chains.append(_endpoint_chain(port, endpoint))
    if port.endpoints:
        # Off-cluster clients of a cluster IP are masqueraded, so that the answer comes back this way.
        mark = f"ip saddr != {cluster_cidr} {_mark()}"
        chains.append(_Chain(name=service_chain, rules=(mark, *_balance(port, port.endpoints))))
        add("service-ips", target, f"goto {service_chain}")
    for endpoint in everywhere:
        add(_HAIRPINS, f"{endpoint.address} . {endpoint.address}")

    outside = [f"{address} . {port.protocol} . {port.port}" for address in port.external_addresses]
    if port.external_endpoints and (outside or port.node_port):
        rules = _balance(port, port.external_endpoints)
        chains.append(_Chain(name=external_chain, rules=rules if port.local_only else (_mark(), *rules)))
        verdict = f"goto {external_chain}"
    elif port.local_only and port.endpoints:
        verdict = "drop"  # the endpoints are elsewhere; a load balancer's health check will have said so
    else:
        verdict = ""
    for address in outside:
        if verdict:
            add("service-ips", address, verdict)
        else:
            add("unreachable", address)
    if port.node_port and verdict:
        add("node-ports", f"{port.protocol} . {port.node_port}", verdict)
    return _Parts(chains=tuple(chains), sets=tuple(sets), elements=tuple(elements), keys=tuple(keys))


def _mark() -> str:
    return f"meta mark set meta mark | {MASQUERADE_MARK:#x}"


def _balance(port: ServicePort, endpoints: tuple[Endpoint, ...]) -> tuple[str, ...]:
    count = len(endpoints)
    if port.affinity_s:
        known = [
            f"ip saddr @{_affinity_set(port, e)} goto {_endpoint_chain(port, e).name}" for e in endpoints
        ]
        choices = ", ".join(f"{i} : goto {_endpoint_chain(port, e).name}" for i, e in enumerate(endpoints))
        return (*known, f"numgen random mod {count} vmap {{ {choices} }}")
    # A map must be told the type of what it yields; the protocol match also lets dnat have a port.
    if count == 1:
        return (f"meta l4proto {port.protocol} dnat to {endpoints[0].address}:{endpoints[0].port}",)
    choices = ", ".join(f"{i} : {e.address} . {e.port}" for i, e in enumerate(endpoints))
    return (f"meta l4proto {port.protocol} dnat ip to numgen random mod {count} map {{ {choices} }}",)


def _endpoint_chain(port: ServicePort, endpoint: Endpoint) -> _Chain:
    return _Chain(
        name=_quoted(f"endpoint/{port.id}/{endpoint.address}/{endpoint.port}"),
        rules=(
            f"update @{_affinity_set(port, endpoint)} {{ ip saddr }}",
            f"meta l4proto {port.protocol} dnat to {endpoint.address}:{endpoint.port}",
        ),
    )


def _affinity_set(port: ServicePort, endpoint: Endpoint) -> str:
    return _quoted(f"affinity/{port.id}/{endpoint.address}/{endpoint.port}")


_NAME_LENGTH_MAX = 120


def _quoted(name: str) -> str:
    """Return a name that nft accepts: it knows `/`, `.` and `-` within names, but has a bound on length."""
    if len(name) > _NAME_LENGTH_MAX:
        name = f"{name[: _NAME_LENGTH_MAX - 9]}.{zlib.crc32(name.encode()):08x}"
    return name


def diff(
    table: str,
    cluster_cidr: str,
    before: Mapping[str, tuple[ServicePort, ...]],
    after: Mapping[str, tuple[ServicePort, ...]],
) -> str:
    """Return one transaction for all services (by key) that differ between two states, or ""."""
    changed = [key for key in {*before, *after} if before.get(key) != after.get(key)]
    old = [port for key in sorted(changed) for port in before.get(key, ())]
    new = [port for key in sorted(changed) for port in after.get(key, ())]
    return change(table, cluster_cidr, old, new)
