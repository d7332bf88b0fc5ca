"""update: the one loop through which every change of a stored object goes.

    read -> transform (decode, patch, status, scale, ...) -> admit -> prepare -> validate -> compare and swap

A lost race is tried again from the start with what is stored now; a client that named a resourceVersion
gets its Conflict then, one that did not never notices.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.chain import Attributes
from podium.apiserver.registry import owners, unreadable
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.checking import checked
from podium.apiserver.registry.create import create, match_namespace
from podium.apiserver.registry.errors import OPTIMISTIC_LOCK
from podium.apiserver.registry.fields import track_update
from podium.apiserver.registry.narrow import CHECKS, NARROW, narrow_to_custom_status, narrow_to_status
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.apiserver.registry.special import claim_status, devices
from podium.apiserver.registry.special.services import is_service
from podium.base.clock import rfc3339
from podium.machinery.errors import (
    ApiError,
    BadRequest,
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    Object,
    PlainError,
    shown,
)
from podium.machinery.meta import deep_copy
from podium.machinery.validation import path_segment_errors, validate_metadata_of_update
from podium.store.protocol import KeyMissing, RevisionMismatch

RACES_MAX = 64
"""A writer that loses this often in a row gets the Conflict; upstream's storage never gives up."""

Transform = Callable[[Object], Awaitable[Object]]
"""Old object (read-only) -> new object (the loop's to change), both in the version of the call."""


async def update(registry: Registry, call: Call, obj: Object) -> Result:
    """Replace an object (PUT), of the main resource or of a subresource that bears the same kind."""
    match_namespace(call, obj["metadata"])
    served = call.served
    if registry.entry(served, call.namespace, call.name) is None:
        if served.resource.create_on_update and not call.subresource:
            return await _create_by_update(registry, call, obj)
        raise not_found(call)

    async def replace(_old: Object) -> Object:
        return deep_copy(obj)  # type: ignore[no-any-return]

    return await modify(registry, call, replace, replaces=True)


async def _create_by_update(registry: Registry, call: Call, obj: Object) -> Result:
    metadata = obj["metadata"]
    if metadata.get("uid"):
        raise failed_precondition(call, metadata["uid"], "")
    metadata.pop("resourceVersion", None)
    await registry.authorize_create(call)
    return await create(registry, call, obj)


async def modify(
    registry: Registry,
    call: Call,
    transform: Transform,
    *,
    tracked: bool = False,
    system: bool = False,
    replaces: bool = False,
) -> Result:
    """Change the object that `call` names.

    `transform` may be called more than once. With `tracked` it has seen to managedFields itself; with
    `system` what it returns is the system's own doing: neither admitted, prepared nor validated. Returns the
    object as it is afterwards. Raises `NotFound`, `Conflict`, `Invalid`, and what admission raises.
    """
    served = call.served
    entry = registry.entry(served, call.namespace, call.name)
    for _ in range(RACES_MAX):
        if entry is None:
            raise not_found(call)
        try:
            return await _modify_once(
                registry, call, entry, transform, tracked=tracked, system=system, replaces=replaces
            )
        except RevisionMismatch as race:
            entry = Entry.of(race.current, len(served.root.prefix))
        except KeyMissing:
            raise not_found(call) from None
    raise conflict(call, OPTIMISTIC_LOCK)


async def _modify_once(
    registry: Registry,
    call: Call,
    entry: Entry,
    transform: Transform,
    *,
    tracked: bool,
    system: bool,
    replaces: bool,
) -> Result:
    served = call.served
    if served.needs_preparing:
        await served.prepare([entry])
    old = served.object(entry)
    new = await transform(old)
    if system:
        return await _write(registry, call, entry, served.to_storage(new), served.to_storage(old))
    if replaces:
        owners.without_repeats(call, new)
    if not tracked and call.subresource != "finalize":
        track_update(registry, call, new, old)
    attributes = await registry.admit(call, "UPDATE", new, old)
    owners.without_repeats(call, new, admitted=True)
    check_preconditions(call, new, old, exact_uid=replaces)
    stored_old, stored = served.to_storage(old), served.to_storage(new)
    if registry.services is None or call.subresource or not is_service(served.storage):
        return await _finish(registry, call, entry, stored, stored_old, attributes, replaces)
    release = registry.services.allocate(stored, stored_old)
    try:
        result = await _finish(registry, call, entry, stored, stored_old, attributes, replaces)
        if not call.dry_run:
            await registry.services.settle(stored, stored_old)
        return result
    finally:
        release()


async def _finish(
    registry: Registry,
    call: Call,
    entry: Entry,
    stored: Object,
    stored_old: Object,
    attributes: Attributes | None,
    replaces: bool,
) -> Result:
    prepare_update(registry, call, stored, stored_old)
    storage = call.served.storage
    refused: list[FieldError] = []
    if devices.is_claim_status(call):
        refused = devices.not_by_status(registry, call, stored, stored_old)
        verb = "update" if replaces else "patch"
        refused += await claim_status.not_by_caller(registry, call, verb, stored, stored_old)
    await checked(storage, lambda: check_update(call, stored, stored_old, refused))
    if not call.subresource or (call.subresource == "status" and storage.warns_of_status):
        for warning in storage.warnings(stored, stored_old):
            call.warn(warning)
    registry.schema_of(call.served.storage.schema).seal(stored)
    if attributes is not None:
        attributes.object = call.served.from_storage(stored)
        await registry.validate(attributes)
    return await _write(registry, call, entry, stored, stored_old)


def check_preconditions(call: Call, new: Object, old: Object, *, exact_uid: bool) -> None:
    """Compare the resourceVersion that the client sent with that of the stored object.

    With `exact_uid`, which is a PUT's, the uid too; a patch that changes the uid is merely invalid.
    """
    wanted, current = new["metadata"], old["metadata"]
    uid = wanted.get("uid")
    if exact_uid and uid and uid != current["uid"]:
        raise failed_precondition(call, uid, current["uid"])
    version = str(wanted.get("resourceVersion") or "")
    if version in ("", "0"):
        if not call.served.resource.unconditional_update and call.subresource != "scale":
            detail = "must be specified for an update"
            resource = call.served.resource
            raise Invalid.of(
                resource.plural,
                resource.group,
                call.name,
                [FieldError.invalid("metadata.resourceVersion", 0, detail)],
            )
        wanted["resourceVersion"] = current["resourceVersion"]
    elif version != current["resourceVersion"]:
        if not version.isascii() or not version.isdigit():
            raise PlainError(f'strconv.ParseUint: parsing "{version}": invalid syntax')
        raise conflict(call, OPTIMISTIC_LOCK)


def prepare_update(registry: Registry, call: Call, stored: Object, stored_old: Object) -> None:
    """Carry over what an update may not change, and count generations."""
    storage = call.served.storage
    metadata, before = stored["metadata"], stored_old["metadata"]
    _carry(metadata, before, "generation")
    changed = storage.generation_of_dropped and _spec_changed(call, stored, stored_old)
    drops = call.served.drops
    drop = drops.status if call.subresource == "status" else drops.main
    if drop is not None:
        drop(stored, stored_old)
    narrow = NARROW.get(_place(call))
    if call.subresource == "status" and narrow is None:
        narrow = narrow_to_custom_status if call.served.custom else narrow_to_status
    if narrow is not None:
        narrow(stored, stored_old, registry.clock)
    else:
        if storage.status and not call.subresource:
            _carry(stored, stored_old, "status")
        if storage.stamp is not None and not call.subresource:
            storage.stamp(stored, stored_old, rfc3339(registry.clock.now()))
        if not call.served.converted:
            storage.prepare_own(stored, stored_old)
        storage.prepare_update(stored, stored_old)
    metadata = stored["metadata"]
    metadata.pop("selfLink", None)
    if not metadata.get("uid"):
        metadata["uid"] = before["uid"]
    _carry(metadata, before, "creationTimestamp")
    # What says that an object is being deleted stays; to say it of another is refused as a change.
    if before.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = before["deletionTimestamp"]
    if metadata.get("deletionGracePeriodSeconds") is None:
        _carry(metadata, before, "deletionGracePeriodSeconds")
    if storage.generation and call.subresource != "status" and not changed:
        changed = _spec_changed(call, stored, stored_old)
    if changed:
        metadata["generation"] = before.get("generation", 0) + 1


def _carry(new: Object, old: Object, name: str) -> None:
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def _place(call: Call) -> tuple[str, str]:
    return call.served.storage.group_plural, call.subresource


def _spec_changed(call: Call, stored: Object, stored_old: Object) -> bool:
    for path in call.served.storage.generation_fields:
        new, old = stored, stored_old
        if path == "*":
            apart = ("metadata", "status") if call.served.storage.status else ("metadata",)
            return any(new.get(name) != old.get(name) for name in {**new, **old} if name not in apart)
        for part in path.split("."):
            new, old = (new or {}).get(part), (old or {}).get(part)  # type: ignore[assignment]
        if (new or None) != (old or None):
            return True
    return False


def check_update(call: Call, stored: Object, stored_old: Object, refused: Sequence[FieldError] = ()) -> None:
    """Raise `Invalid` with everything that is wrong, and with what was found so before."""
    storage = call.served.storage
    errors = [*validate_metadata_of_update(stored, stored_old, storage, call.subresource), *refused]
    check = CHECKS.get(_place(call))
    if check is not None:
        errors += check(stored, stored_old)
    elif call.subresource == "status":
        errors += storage.validate_status_update(stored, stored_old)
    else:
        check = storage.validate_subresources.get(call.subresource, storage.validate_update)
        errors += check(stored, stored_old)
        for refusal in call.served.gate_checks:
            errors += refusal(stored, stored_old)
        if call.served.converted:
            resource = call.served.resource
            errors = [error for error in errors if not resource.tolerates(error)]
            if not call.subresource:
                errors += resource.validate_update(stored, stored_old)
    if errors:
        raise Invalid.of(storage.kind, storage.group, call.name, errors)


async def _write(registry: Registry, call: Call, entry: Entry, stored: Object, stored_old: Object) -> Result:
    served = call.served
    key = served.root.prefix + entry.key
    if deletes_now(stored, stored_old):
        if not call.dry_run:
            change = await call.stored(registry.store.delete(key, expected_revision=entry.revision))
            await registry.cacher.wait_for(change.revision)
        return Result(served=served, object=served.from_storage(stored))
    if (
        stored == stored_old
        and not served.is_stale(entry)
        and not await registry.is_stale(key, entry.revision)
    ):
        return Result(served=served, entry=entry)
    if call.dry_run:
        return Result(served=served, object=served.from_storage(stored))
    value = await registry.encode(served, stored)
    record = await call.stored(registry.store.update(key, value, expected_revision=entry.revision))
    return Result(served=served, entry=await registry.seen(served, record))


def deletes_now(stored: Object, stored_old: Object) -> bool:
    """Whether this update takes away the last thing that held up a deletion."""
    metadata = stored["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if stored.get("kind") == "Namespace" and (stored.get("spec") or {}).get("finalizers"):
        return False
    return not stored_old["metadata"].get("deletionGracePeriodSeconds")


def check_name(call: Call, obj: Object) -> None:
    """See that the body names the object of the path."""
    metadata = obj["metadata"]
    match_namespace(call, metadata)
    name = metadata.get("name") or ""
    if not name:
        raise BadRequest(
            f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
        )
    if name != call.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({call.name})")


def not_found(call: Call) -> ApiError:
    """Return what is to be said of an object that is not among those that can be read."""
    if call.served.root.unreadable and (error := unreadable.of(call)) is not None:
        return error
    if faults := path_segment_errors(call.name):
        return BadRequest(f"Name parameter invalid: {shown(call.name)}: {';'.join(faults)}")
    resource = call.served.resource
    return NotFound.of(resource.plural, resource.group, call.name)


def conflict(call: Call, why: str) -> Conflict:
    resource = call.served.resource
    return Conflict.of(resource.plural, resource.group, call.name, why)


def failed_precondition(call: Call, wanted: str, actual: str, what: str = "UID") -> Conflict:
    """Return the conflict of a write that asks for another object, or another state of it, than there is."""
    key = call.served.root.prefix + call.served.key(call.namespace, call.name)
    if call.dry_run:
        key = key.removeprefix(
            "/registry"
        )  # Upstream's dry runs do not get as far as where it is put in front.
    return conflict(
        call,
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {actual}",
    )
