"""What a fresh cluster has, and keeps having: made when the API server starts, before it calls itself ready.

The objects are written to the store directly, all at once: the store makes one commit of what arrives
together, so a new cluster costs a handful of fsyncs and a restart none at all. Admission and validation have
nothing to say about constants; tests compare them with a fresh upstream cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from podium.apiserver.bootstrap.ownership import SchemaOf, note
from podium.apiserver.bootstrap.planning import Options, Write, missing, plan, unfit
from podium.apiserver.bootstrap.rbac import node_rules
from podium.apiserver.cacher.entry import encode
from podium.apiserver.chain import Reader
from podium.base.clock import Clock, WallClock, rfc3339
from podium.base.ids import new_uid
from podium.base.log import Log
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.store.protocol import KeyExists, KeyMissing, RevisionMismatch, Store, StoreError

__all__ = ["Options", "keep", "node_rules", "run"]

KEEP_INTERVAL_S = 10.0
"""As often as upstream looks after its own Service. A look costs two milliseconds and writes nothing."""
LOOKS_A_MINUTE = 6
"""Every so many looks, flow-control objects are looked after too: once a minute, as upstream."""

_log = Log("bootstrap")


async def run(
    store: Store, reader: Reader, options: Options, schema_of: SchemaOf, *, clock: Clock | None = None
) -> int:
    """Write what is missing or out of date; return the newest revision written (0: nothing was to be done).

    The reader's caches must be filled. Another API server may be doing the same at the same time: whoever
    comes second finds the work done.
    """
    clock = clock or WallClock()
    writes = plan(reader, options, clock.now())
    revisions = await asyncio.gather(*(_perform(store, write, schema_of, clock) for write in writes))
    return max(revisions, default=0)


async def keep(
    store: Store, reader: Reader, options: Options, schema_of: SchemaOf, *, clock: Clock | None = None
) -> None:
    """For ever, put back Services' own range, the API's own Service, its endpoints and the system namespaces
    when they go, and keep flow-control objects as they should be."""
    clock = clock or WallClock()
    for look in itertools.count(1):
        await clock.sleep(KEEP_INTERVAL_S)
        writes, gone = missing(reader, options, clock.now()), list[Write]()
        if look % LOOKS_A_MINUTE == 0:
            more, gone = unfit(reader, options, clock.now())
            writes += more
        try:
            for write in writes:
                await _perform(store, write, schema_of, clock)
            for write in gone:
                await _delete(store, write)
        except StoreError as error:
            _log.warning("cannot keep the cluster's own objects", error=error)


async def _perform(store: Store, write: Write, schema_of: SchemaOf, clock: Clock) -> int:
    resource, obj = write.resource, write.object
    schema = schema_of(resource.schema)
    key = resource.storage_key(meta.namespace(obj) or None, meta.name(obj))
    try:
        if write.current is None:
            created = _as_new(write, clock)
            note(resource, created, None, schema, clock.now())
            record = await store.create(key, encode(created, resource.kind, resource.api_version))
        else:
            changed = _as_changed(write)
            note(resource, changed, write.current, schema, clock.now())
            record = await store.update(
                key,
                encode(changed, resource.kind, resource.api_version),
                expected_revision=meta.resource_version(write.current),
            )
    except (KeyExists, KeyMissing, RevisionMismatch):
        return 0
    return record.mod_revision


async def _delete(store: Store, write: Write) -> None:
    key = write.resource.storage_key(None, meta.name(write.object))
    with contextlib.suppress(KeyMissing, RevisionMismatch):
        await store.delete(key, expected_revision=meta.resource_version(write.object))


def _as_new(write: Write, clock: Clock) -> Object:
    obj = meta.copy_path(write.object, "metadata")
    metadata = obj["metadata"]
    metadata["uid"] = new_uid()
    metadata["creationTimestamp"] = rfc3339(clock.now())
    if write.resource.generation:
        metadata["generation"] = 1
    return obj


def _as_changed(write: Write) -> Object:
    obj = meta.copy_path(write.object, "metadata")
    assert write.current is not None
    changed = any(obj.get(field) != write.current.get(field) for field in write.resource.generation_fields)
    if write.resource.generation and changed:
        obj["metadata"]["generation"] = meta.generation(write.current) + 1
    return obj
