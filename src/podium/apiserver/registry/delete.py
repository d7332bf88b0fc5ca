"""delete: at once, gracefully, or when the last finalizer is gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.apiserver.registry.special.services import is_service
from podium.apiserver.registry.update import RACES_MAX, conflict, not_found
from podium.base.clock import Clock, parse_rfc3339, rfc3339
from podium.machinery.errors import Conflict, Object
from podium.machinery.resource import Resource
from podium.store.protocol import KeyMissing, RevisionMismatch

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteOptions:
    """metav1.DeleteOptions, decoded and valid."""

    grace_period_s: int | None = None
    propagation: str | None = None
    orphan_dependents: bool | None = None
    uid: str | None = None
    resource_version: str | None = None
    ignore_read_error: bool = False
    """The object is known to be one that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What a deletion makes of an object before it goes, if it goes at all."""

    obj: Object
    """Equal to the old object when nothing changes."""
    remove: bool
    """Delete the record now."""
    pending: bool = False
    """It is being deleted already and this request adds nothing."""


async def delete(registry: Registry, call: Call, options: DeleteOptions) -> Result:
    """Delete the object that `call` names, or start its deletion.

    The result holds the object as it was left; the caller decides whether the client sees that or a Status.
    """
    served = call.served
    entry = registry.entry(served, call.namespace, call.name)
    for _ in range(RACES_MAX):
        if entry is None:
            raise not_found(call)
        try:
            return await _delete_once(registry, call, options, entry)
        except RevisionMismatch as race:
            entry = Entry.of(race.current, len(served.root.prefix))
        except KeyMissing:
            raise not_found(call) from None
    raise conflict(call, "the object keeps changing")


async def _delete_once(registry: Registry, call: Call, options: DeleteOptions, entry: Entry) -> Result:
    served = call.served
    if served.needs_preparing:
        await served.prepare([entry])
    old = served.object(entry)
    check_preconditions(call, options, old)
    attributes = await registry.admit(call, "DELETE", None, old)
    await registry.validate(attributes)
    stored_old = served.to_storage(served.object(entry))
    if stored_old["kind"] == "Namespace" and stored_old["apiVersion"] == "v1":
        marked = mark_namespace(stored_old, options, registry.clock)
    else:
        marked = mark(served.storage, stored_old, options, registry.clock)
    return await _apply(registry, call, entry, stored_old, marked)


async def _apply(registry: Registry, call: Call, entry: Entry, stored_old: Object, marked: Marked) -> Result:
    served = call.served
    if call.dry_run:
        return Result(served=served, object=served.from_storage(marked.obj), created=marked.remove)
    key = served.root.prefix + entry.key
    revision = entry.revision
    if marked.obj != stored_old:
        value = await registry.encode(served, marked.obj)
        record = await call.stored(registry.store.update(key, value, expected_revision=revision))
        revision = record.mod_revision
        entry = Entry.of(record, len(served.root.prefix))
        if not marked.remove:
            return Result(served=served, entry=await registry.seen(served, record))
    if not marked.remove:
        return Result(served=served, entry=entry)
    change = await call.stored(registry.store.delete(key, expected_revision=revision))
    await registry.cacher.wait_for(change.revision)
    if registry.services is not None and is_service(served.storage):
        await registry.services.settle(None, stored_old)
    return Result(served=served, entry=entry.at(change.revision), created=True)


def check_preconditions(call: Call, options: DeleteOptions, old: Object) -> None:
    metadata = old["metadata"]
    if options.uid is not None and options.uid != metadata["uid"]:
        raise _unmet(
            call,
            f"the UID in the precondition ({options.uid}) does not match the UID in record "
            f"({metadata['uid']}). The object might have been deleted and then recreated",
        )
    if options.resource_version is not None and options.resource_version != metadata["resourceVersion"]:
        raise _unmet(
            call,
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the "
            f"ResourceVersion in record ({metadata['resourceVersion']}). The object might have been modified",
        )


def _unmet(call: Call, why: str) -> Conflict:
    """Return the conflict of a precondition that does not hold; upstream names the kind in it."""
    resource = call.served.resource
    return Conflict.of(resource.kind, resource.group, call.name, why)


# --- plans


def mark(resource: Resource, old: Object, options: DeleteOptions, clock: Clock) -> Marked:
    """Decide what deleting `old` means now. Pure."""
    grace = options.grace_period_s
    if grace is not None and grace < 0:
        grace = 1
    new = {**old, "metadata": dict(old["metadata"])}
    metadata = new["metadata"]
    if resource.prepare_delete is not None and not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = rfc3339(clock.now())
        resource.prepare_delete(new, clock.now())
        return Marked(obj=new, remove=False)
    graceful = _mark_graceful(resource, old, metadata, grace, clock)
    if graceful is None:
        return Marked(obj=old, remove=False, pending=True)
    finalizers = finalizers_for(resource, metadata.get("finalizers") or [], options)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if not graceful and finalizers:
        mark_deleting(metadata, clock)
    if finalizers:
        return Marked(obj=new, remove=False)
    if graceful:
        return Marked(obj=new, remove=not metadata["deletionGracePeriodSeconds"])
    return Marked(obj=old, remove=True)


def _mark_graceful(
    resource: Resource, old: Object, metadata: Object, grace: int | None, clock: Clock
) -> bool | None:
    """Set deletion time and grace period where the resource has graceful deletion.

    Returns whether it has; None when a graceful deletion is pending and this request does not shorten it.
    """
    if resource.grace_period_s is None:
        return False
    if metadata.get("deletionTimestamp"):
        pending = metadata.get("deletionGracePeriodSeconds")
        if not pending:
            # Its time is over already: what is left of it goes now, also where the last step failed before.
            return False
        if grace is None or grace >= pending:
            return None
        moment = parse_rfc3339(metadata["deletionTimestamp"]) - timedelta(seconds=pending - grace)
        if moment < clock.now():
            # The shorter period is over, too. Whoever shuts the object down still has the last word.
            moment, grace = clock.now(), min(grace, 1)
        metadata["deletionTimestamp"] = rfc3339(moment)
        metadata["deletionGracePeriodSeconds"] = grace
        return True
    own = resource.grace_period_s(old)
    if own is None:
        return False
    # An object that has nothing to wait for (a pod without a node) is not made to wait by the client either.
    period = own if grace is None or own == 0 else grace
    metadata["deletionTimestamp"] = rfc3339(clock.now() + timedelta(seconds=period))
    metadata["deletionGracePeriodSeconds"] = period
    if metadata.get("generation", 0) > 0:
        metadata["generation"] += 1
    return True


def mark_deleting(metadata: Object, clock: Clock) -> None:
    """Mark an object that only finalizers keep."""
    before = metadata.get("deletionTimestamp")
    if not before and metadata.get("generation", 0) > 0:
        metadata["generation"] += 1
    if not before or parse_rfc3339(before) > clock.now():
        metadata["deletionTimestamp"] = rfc3339(clock.now())
    metadata["deletionGracePeriodSeconds"] = 0


def mark_namespace(old: Object, options: DeleteOptions, clock: Clock) -> Marked:
    """A namespace goes in two steps: Terminating until its finalizers, those of its spec too, are gone."""
    metadata = dict(old["metadata"])
    if not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = rfc3339(clock.now())
        kept = [name for name in metadata.get("finalizers") or [] if name not in (ORPHAN, FOREGROUND)]
        if options.propagation == "Orphan" or options.orphan_dependents:
            kept.append(ORPHAN)
        elif options.propagation == "Foreground":
            kept.append(FOREGROUND)
        if kept:
            metadata["finalizers"] = kept
        else:
            metadata.pop("finalizers", None)
        status = {**(old.get("status") or {}), "phase": "Terminating"}
        return Marked(obj={**old, "metadata": metadata, "status": status}, remove=False)
    if (old.get("spec") or {}).get("finalizers") or metadata.get("finalizers"):
        return Marked(obj=old, remove=False, pending=True)
    return Marked(obj=old, remove=True)


def finalizers_for(resource: Resource, current: list[str], options: DeleteOptions) -> list[str]:
    """Return the finalizers with those of garbage collection as the options, the object or the kind ask."""
    wanted = _wanted_finalizer(resource, current, options)
    kept = [name for name in current if name not in (ORPHAN, FOREGROUND)]
    return [*kept, wanted] if wanted else kept


def _wanted_finalizer(resource: Resource, current: list[str], options: DeleteOptions) -> str:
    if resource.default_propagation == "Unsupported":
        return ""
    if options.orphan_dependents is not None:
        return ORPHAN if options.orphan_dependents else ""
    if options.propagation is not None:
        return {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(options.propagation, "")
    for name in current:
        if name in (ORPHAN, FOREGROUND):
            return name
    return ORPHAN if resource.default_propagation == "Orphan" else ""
