"""What API servers that are no more have said about how they store things is forgotten.

A StorageVersion has an entry for each API server; which servers there are is told by their identity leases.
Upstream: pkg/controller/storageversiongc.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime

from podium.base.clock import rfc3339
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.apiserverinternal.storageversions import STORAGEVERSIONS
from podium.resources.coordination.leases import LEASES
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "storageversion-garbage-collector-controller"
NAMESPACE = "kube-system"
_BY_SERVER = "storage version of server"


def servers(version: Object) -> list[str]:
    """Return the API servers that the StorageVersion speaks of."""
    return [str(entry.get("apiServerID")) for entry in _entries(version)]


def _entries(version: Object) -> list[Object]:
    found: list[Object] = meta.dig(version, "status", "storageVersions", default=[])
    return found


def without(version: Object, gone: Container[str], now: datetime) -> Object | None:
    """Return the StorageVersion without the entries of some servers; None when none is left."""
    entries = [entry for entry in _entries(version) if entry.get("apiServerID") not in gone]
    if not entries:
        return None
    before = meta.dig(version, "status", "commonEncodingVersion")
    versions = {entry.get("encodingVersion") for entry in entries}
    common = versions.pop() if len(versions) == 1 else None
    new = meta.copy_path(version, "status")
    new["status"]["storageVersions"] = entries
    new["status"].pop("commonEncodingVersion", None)
    if common is not None:
        new["status"]["commonEncodingVersion"] = common
    changed = before is not None and common is not None and before != common
    new["status"]["conditions"] = _conditions(version, now, agreed=common is not None, changed=changed)
    return new


def _conditions(version: Object, now: datetime, *, agreed: bool, changed: bool) -> list[Object]:
    word = "Set" if agreed else "Unset"
    condition = {
        "type": "AllEncodingVersionsEqual",
        "status": "True" if agreed else "False",
        "observedGeneration": meta.generation(version),
        "lastTransitionTime": rfc3339(now),
        "reason": f"CommonEncodingVersion{word}",
        "message": f"Common encoding version {word.lower()}",
    }
    conditions: list[Object] = []
    for old in meta.dig(version, "status", "conditions", default=()):
        if old.get("type") != condition["type"]:
            conditions.append(old)
        elif old.get("status") == condition["status"] and not changed:
            condition["lastTransitionTime"] = old.get("lastTransitionTime")
    return [*conditions, condition]


def is_identity(lease: Object | None) -> bool:
    """Tell whether a lease stands for an API server."""
    labels = meta.labels(lease) if lease is not None else {}
    return labels.get("apiserver.kubernetes.io/identity") == "kube-apiserver"


async def _reconcile(context: Context, key: str) -> float | None:
    version = context.caches[STORAGEVERSIONS].get(key)
    if version is None:
        return None
    gone = {server for server in servers(version) if not await _is_there(context, server)}
    if not gone:
        return None
    rest = without(version, gone, context.clock.now())
    try:
        if rest is None:
            await context.client.delete(STORAGEVERSIONS, key, uid=meta.uid(version))
        else:
            await context.client.update(STORAGEVERSIONS, rest, subresource="status")
    except NotFound:
        return None
    return None


async def _is_there(context: Context, server: str) -> bool:
    """Ask the API itself: a lease may be newer than its cache."""
    try:
        return is_identity(await context.client.get(LEASES, server, NAMESPACE))
    except NotFound:
        return False


def _keys_of_version(delta: Delta, caches: Caches) -> Iterable[str]:
    if delta.new is None:
        return ()
    known = all(is_identity(caches[LEASES].get(f"{NAMESPACE}/{name}")) for name in servers(delta.new))
    return () if known else (meta.key(delta.new),)


def _keys_of_lease(delta: Delta, caches: Caches) -> Iterable[str]:
    if delta.new is not None or not is_identity(delta.object):
        return ()
    return [meta.key(v) for v in caches[STORAGEVERSIONS].by_index(_BY_SERVER, meta.name(delta.object))]


STORAGEVERSION_GC = Controller(
    name=NAME,
    service_account="storage-version-garbage-collector",
    watches=(
        Watch(resource=STORAGEVERSIONS, keys_of=_keys_of_version, indexes={_BY_SERVER: servers}),
        Watch(resource=LEASES, keys_of=_keys_of_lease, namespace=NAMESPACE),
    ),
    reconcile=_reconcile,
    workers=1,
)
