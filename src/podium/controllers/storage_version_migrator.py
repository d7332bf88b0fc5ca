"""Storage migrations: every object of a resource is written anew, as it would be written today.

That rids a store of what an old key has encrypted, and of versions that a definition no longer stores.
Of the migrations of one resource one runs at a time, the oldest first:

    Running -> status.resourceVersion (what is older is looked at) -> Succeeded or Failed -> not Running

Writing is an apply that says nothing: the API server writes only if what is stored is stale.
Upstream: pkg/controller/storageversionmigrator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from podium.base.clock import parse_rfc3339, rfc3339
from podium.base.log import Log
from podium.controllers.common.status import put_condition
from podium.machinery import meta
from podium.machinery.errors import ApiError, Conflict, NotFound, Object, qualified
from podium.machinery.resource import Resource
from podium.resources.apiextensions.customresourcedefinitions import CUSTOMRESOURCEDEFINITIONS
from podium.resources.storagemigration.storageversionmigrations import STORAGEVERSIONMIGRATIONS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.discovery import discover
from podium.runtime.informer import Delta
from podium.runtime.metadata import MetadataClient

NAME = "storage-version-migrator-controller"
PAGE = 500
WRITES_AT_ONCE = 16
"""They share commits."""
APPEARS_WITHIN = timedelta(minutes=1)
"""How long a resource may take to show up in discovery."""
LOOK_AGAIN_S = 5.0

_RUNNING, _SUCCEEDED, _FAILED = "Running", "Succeeded", "Failed"
_MIGRATING = "StorageMigrating"
"""The condition of a CustomResourceDefinition."""
_VERBS = ("update", "patch", "list")
_RETRIABLE = (429, 500, 503, 504)

_log = Log("podium.storage_migration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be done about the migrations of one resource."""

    finish: Sequence[Object] = ()
    """They are over, and still said to be running."""
    begin: Object | None = None
    run: Object | None = None


def plan(migrations: Iterable[Object]) -> Plan:
    """Decide, from all migrations of one resource."""
    finish, waiting, running = [], [], None
    for migration in migrations:
        over = meta.condition_true(migration, _SUCCEEDED) or meta.condition_true(migration, _FAILED)
        if meta.condition_true(migration, _RUNNING):
            if over:
                finish.append(migration)
            else:
                running = migration
        elif not over:
            waiting.append(migration)
    if running is not None or not waiting:
        return Plan(finish=finish, run=running)
    return Plan(finish=finish, begin=min(waiting, key=lambda one: (_created(one), meta.name(one))))


def with_condition(migration: Object, now: datetime, type: str, reason: str, message: str = "") -> Object:
    """Return the migration with a condition that holds."""
    return _with(migration, now, type, "True", reason, message)


def _with(migration: Object, now: datetime, type: str, status: str, reason: str, message: str) -> Object:
    new = meta.copy_path(migration, "status")
    condition = {
        "type": type,
        "status": status,
        "lastTransitionTime": rfc3339(now),
        "reason": reason,
        "message": message,
    }
    new["status"]["conditions"] = put_condition(list(new["status"].get("conditions") or ()), condition)
    return new


def _key(migration: Object) -> str:
    resource = meta.dig(migration, "spec", "resource", default={})
    return qualified(resource.get("resource") or "", resource.get("group") or "")


def _created(migration: Object) -> str:
    return str(meta.metadata(migration)["creationTimestamp"])


def _keys_of(delta: Delta, _caches: Caches) -> Iterable[str]:
    return (_key(delta.object),)


async def _reconcile(context: Context, key: str) -> float | None:
    decided = plan(one for one in context.caches[STORAGEVERSIONMIGRATIONS].list() if _key(one) == key)
    for migration in decided.finish:
        await _finish(context, migration, key)
    if decided.begin is not None:
        await _mark_definition(
            context, key, "True", "MigrationRunning", f"Migration {meta.name(decided.begin)} is running"
        )
        await _write(
            context,
            with_condition(
                decided.begin, context.clock.now(), _RUNNING, "MigrationRunning", "The migration is running"
            ),
        )
    if decided.run is not None:
        return await _go_on(context, decided.run, key)
    return None


async def _write(context: Context, migration: Object) -> None:
    await context.client.update(STORAGEVERSIONMIGRATIONS, migration, subresource="status")


async def _fail(context: Context, migration: Object, why: str) -> None:
    _log.warning("a migration has failed", migration=meta.name(migration), error=why)
    now = context.clock.now()
    await _write(context, with_condition(migration, now, _FAILED, "StorageVersionMigrationFailed", why))


# --- the work


async def _go_on(context: Context, migration: Object, key: str) -> float | None:
    resource = next(
        (one for one in await discover(context.client) if qualified(one.plural, one.group) == key), None
    )
    if resource is None:
        if context.clock.now() < parse_rfc3339(_created(migration)) + APPEARS_WITHIN:
            return LOOK_AGAIN_S
        await _fail(context, migration, "resource does not exist in discovery")
        return None
    if not set(_VERBS) <= set(resource.verbs):
        named = f"{resource.api_version}, Resource={resource.plural}"
        why = f'resource "{named}" does not support discovery operations: [{" ".join(_VERBS)}]'
        await _fail(context, migration, why)
        return None
    version = meta.dig(migration, "status", "resourceVersion", default="")
    if not version:
        new = meta.copy_path(migration, "status")
        new["status"]["resourceVersion"] = await _latest_version(context, resource)
        await _write(context, new)
        return None
    try:
        await _rewrite(context, resource, int(version))
    except ApiError as error:
        if error.code in _RETRIABLE:
            raise
        await _fail(context, migration, f"migration encountered unhandled error: {error.message}")
        return None
    done = with_condition(migration, context.clock.now(), _SUCCEEDED, "StorageVersionMigrationSucceeded")
    await _write(context, done)
    return None


async def _latest_version(context: Context, resource: Resource) -> str:
    page = orjson.loads(await context.client.raw("GET", f"{resource.path()}?limit=1"))
    version: str = page["metadata"]["resourceVersion"]
    return version


async def _rewrite(context: Context, resource: Resource, up_to: int) -> None:
    """Have every object written anew that has not changed after version `up_to`."""
    listed = await MetadataClient(context.client).list(resource, limit=PAGE)
    old = iter([one for one in listed["items"] if meta.resource_version(one) <= up_to])

    async def work() -> None:
        for obj in old:
            await _apply_nothing(context, resource, obj)

    refused = [
        one
        for one in await asyncio.gather(*(work() for _ in range(WRITES_AT_ONCE)), return_exceptions=True)
        if one is not None
    ]
    if refused:
        raise refused[0]


async def _apply_nothing(context: Context, resource: Resource, obj: Object) -> None:
    identity = {"uid": meta.uid(obj), "resourceVersion": str(meta.resource_version(obj))}
    body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": identity}
    try:
        await context.client.patch(
            resource, meta.name(obj), body, meta.namespace(obj) or None, type="apply", field_manager=NAME
        )
    except (Conflict, NotFound):
        # It was written meanwhile, as it is written today; or it is gone.
        return


# --- definitions of custom resources


async def _finish(context: Context, migration: Object, key: str) -> None:
    if meta.condition_true(migration, _SUCCEEDED):
        await _mark_definition(context, key, "False", "MigrationSucceeded", "The migration has succeeded")
    else:
        await _mark_definition(context, key, "False", "MigrationFailed", "The migration has failed")
    now = context.clock.now()
    done = _with(migration, now, _RUNNING, "False", "MigrationCompleted", "Migration completed")
    await _write(context, done)


async def _mark_definition(context: Context, key: str, status: str, reason: str, message: str) -> None:
    """Say on the definition of a custom resource how the migration goes.

    After one that has succeeded, the versions that are no longer stored are taken off its list, unless it
    has changed since the migration began.
    """
    try:
        definition = await context.client.get(CUSTOMRESOURCEDEFINITIONS, key)
    except NotFound:
        return
    before = meta.find_condition(definition, _MIGRATING) or {}
    new = meta.copy_path(definition, "status")
    if reason == "MigrationSucceeded":
        if before.get("observedGeneration") == meta.generation(definition):
            message += " and the stored versions have been updated"
            stored = [one["name"] for one in definition["spec"]["versions"] if one.get("storage")]
            new["status"]["storedVersions"] = stored
        else:
            message += " but the stored versions have not been updated due to a generation mismatch"
    condition = {
        "type": _MIGRATING,
        "status": status,
        "lastTransitionTime": rfc3339(context.clock.now()),
        "reason": reason,
        "message": message,
        "observedGeneration": meta.generation(definition),
    }
    new["status"]["conditions"] = put_condition(list(new["status"].get("conditions") or ()), condition)
    await context.client.update(CUSTOMRESOURCEDEFINITIONS, new, subresource="status")


STORAGE_VERSION_MIGRATOR = Controller(
    name=NAME,
    watches=(Watch(resource=STORAGEVERSIONMIGRATIONS, keys_of=_keys_of),),
    reconcile=_reconcile,
)
