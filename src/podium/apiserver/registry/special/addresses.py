"""IPAddress objects: the visible side of the addresses that Services hold.

The Services themselves say what is taken (see `services`); these objects follow them, so a crash between the
two leaves nothing that the next start does not mend.
"""

from __future__ import annotations

import ipaddress

from podium.apiserver.cacher.entry import Entry, encode
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.served import Served
from podium.base.clock import Clock, rfc3339
from podium.base.ids import new_uid
from podium.machinery import managed_fields
from podium.machinery.errors import Object
from podium.store.protocol import KeyExists, KeyMissing, RevisionMismatch

_FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
_MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
_MANAGED_BY = "ipallocator.k8s.io"
_MANAGER = "kube-apiserver"


async def follow_service(
    registry: Registry, addresses: Served, new: Object | None, old: Object | None
) -> None:
    """Write and remove the IPAddress objects of a Service that has changed from `old` to `new`."""
    store, resource, root = registry.store, addresses.resource, addresses.root
    before, after = _addresses(old), _addresses(new)
    revision = 0
    for address in after - before:
        assert new is not None
        obj = address_object(address, new, registry.clock)
        managed_fields.update(
            obj,
            None,
            manager=_MANAGER,
            api_version=resource.api_version,
            now=registry.clock.now(),
            schema=registry.schema_of(resource.schema),
        )
        try:
            record = await store.create(
                root.prefix + address, encode(obj, resource.kind, resource.api_version)
            )
        except KeyExists:
            continue
        revision = record.mod_revision
    for address in before - after:
        try:
            revision = (await store.delete(root.prefix + address, expected_revision=0)).revision
        except (KeyMissing, RevisionMismatch):
            continue
    await registry.cacher.wait_for(revision)


async def mend(registry: Registry, addresses: Served, services: Served) -> None:
    """Make the IPAddress objects agree with the Services there are, after a start."""
    claimed: set[str] = set()
    for entry in services.root.entries.values():
        service = entry.decode()
        held = _addresses(service)
        claimed |= held
        if any(address not in addresses.root.entries for address in held):
            await follow_service(registry, addresses, service, None)
    for name in orphans(list(addresses.root.entries.values()), claimed):
        try:
            await registry.store.delete(addresses.root.prefix + name, expected_revision=0)
        except KeyMissing:
            continue


def address_object(address: str, service: Object, clock: Clock) -> Object:
    """Return the IPAddress of one address of `service`."""
    family = "IPv4" if ipaddress.ip_address(address).version == 4 else "IPv6"
    metadata = service["metadata"]
    return {
        "metadata": {
            "name": address,
            "uid": new_uid(),
            "creationTimestamp": rfc3339(clock.now()),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family,
                "ipaddress.kubernetes.io/managed-by": _MANAGED_BY,
            },
        },
        "spec": {
            "parentRef": {
                "resource": "services",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
            }
        },
    }


def orphans(addresses: list[Entry], claimed: set[str]) -> list[str]:
    """Return the names of IPAddress objects made here whose Service is gone."""
    return [
        entry.name
        for entry in addresses
        if entry.labels.get(_MANAGED_BY_LABEL) == _MANAGED_BY and entry.name not in claimed
    ]


def _addresses(service: Object | None) -> set[str]:
    """Return the addresses of a Service; what something else wrote into the store may be none."""
    if service is None:
        return set()
    return {ip for ip in (service.get("spec") or {}).get("clusterIPs") or () if _is_address(ip)}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
