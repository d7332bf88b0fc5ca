"""create: prepare, admit, validate, write a key that must not exist."""

from __future__ import annotations

from collections.abc import Sequence

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.chain import Attributes
from podium.apiserver.registry import owners
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.checking import checked
from podium.apiserver.registry.fields import track_create
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.apiserver.registry.special import devices
from podium.apiserver.registry.special.certificates import is_certificate_request, stamp_requester
from podium.apiserver.registry.special.services import is_service
from podium.base.clock import rfc3339
from podium.base.ids import new_uid, random_suffix
from podium.machinery.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    FieldError,
    Invalid,
    Object,
    PlainError,
)
from podium.machinery.meta import deep_copy
from podium.machinery.validation import validate_object_meta
from podium.store.protocol import KeyExists

GENERATED_NAME_ATTEMPTS = 8
GENERATED_PREFIX_LENGTH_MAX = 63 - 5
"""A generated name fits a DNS label whatever its prefix."""


_NOT_BY_CREATORS = frozenset(("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"))


async def create(registry: Registry, call: Call, obj: Object, *, tracked: bool = False) -> Result:
    """Create `obj`, which is decoded and defaulted, in the version of the call; it is changed on the way.

    Raises `AlreadyExists`, `Invalid`, and whatever admission raises.
    """
    metadata = obj["metadata"]
    match_namespace(call, metadata)
    generated = bool(metadata.get("generateName")) and not metadata.get("name")
    attempts = GENERATED_NAME_ATTEMPTS if generated else 1
    for attempt in range(1, attempts + 1):
        candidate = deep_copy(obj) if attempt < attempts else obj
        try:
            return await _create_once(registry, call, candidate, tracked=tracked)
        except AlreadyExists:
            if attempt == attempts:
                raise
    raise AssertionError("unreachable")


def match_namespace(call: Call, metadata: Object) -> None:
    """See that the object stands in the namespace of the request; an object that names none is put there."""
    if not call.served.resource.namespaced or not call.namespace:
        metadata.pop("namespace", None)
        return
    namespace = metadata.get("namespace")
    if not namespace:
        metadata["namespace"] = call.namespace
    elif namespace != call.namespace:
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


async def _create_once(registry: Registry, call: Call, obj: Object, *, tracked: bool) -> Result:
    served = call.served
    if not tracked:
        owners.without_repeats(call, obj)
        track_create(registry, call, obj)
    attributes = await registry.admit(call, "CREATE", obj)
    owners.without_repeats(call, obj, admitted=True)
    match_namespace(call, obj["metadata"])  # Webhooks do not move it elsewhere.
    stored = served.to_storage(obj)
    if registry.services is None or not is_service(served.storage):
        return await _finish(registry, call, stored, attributes)
    release = registry.services.allocate(stored, None)
    try:
        result = await _finish(registry, call, stored, attributes)
        if not call.dry_run:
            await registry.services.settle(stored, None)
        return result
    finally:
        release()


async def _finish(registry: Registry, call: Call, stored: Object, attributes: Attributes | None) -> Result:
    for warning in call.served.storage.warnings_as_sent(stored, None):
        call.warn(warning)
    prepare_create(registry, call, stored)
    refused = devices.not_by_creator(registry, call, stored)
    await checked(call.served.storage, lambda: check_create(call, stored, refused))
    for warning in call.served.storage.warnings(stored, None):
        call.warn(warning)
    registry.schema_of(call.served.storage.schema).seal(stored)
    await _validate(registry, attributes, call.served.from_storage(stored))
    return await write_new(registry, call, stored)


async def _validate(registry: Registry, attributes: Attributes | None, obj: Object) -> None:
    if attributes is not None:
        attributes.object = obj
        await registry.validate(attributes)


def prepare_create(registry: Registry, call: Call, stored: Object) -> None:
    """Set what the system sets: name, uid, creation time, generation; drop what a creator may not say."""
    storage = call.served.storage
    metadata = stored["metadata"]
    if "resourceVersion" in metadata:
        if not metadata["resourceVersion"]:
            del metadata["resourceVersion"]
        elif not call.dry_run:
            # Upstream finds this out in its storage layer, hence the odd status, and no dry run gets there.
            raise PlainError("resourceVersion should not be set on objects to be created")
    if not _NOT_BY_CREATORS.isdisjoint(metadata):
        for name in _NOT_BY_CREATORS:
            metadata.pop(name, None)
    if storage.generation and storage.generation_start:
        metadata["generation"] = storage.generation_start
    metadata["uid"] = new_uid()
    metadata["creationTimestamp"] = rfc3339(registry.clock.now())
    prefix = metadata.get("generateName")
    if prefix and not metadata.get("name"):
        metadata["name"] = prefix[:GENERATED_PREFIX_LENGTH_MAX] + random_suffix()
    if call.served.drops.main is not None:
        call.served.drops.main(stored, None)
    if storage.stamp is not None:
        storage.stamp(stored, None, metadata["creationTimestamp"])
    if not call.served.converted:
        storage.prepare_own(stored, None)
    storage.prepare_create(stored)
    if is_certificate_request(storage):
        stamp_requester(stored, call.user)


def check_create(call: Call, stored: Object, refused: Sequence[FieldError] = ()) -> None:
    """Raise `Invalid` with everything that is wrong, and with what was found so before."""
    storage = call.served.storage
    errors = [*refused, *validate_object_meta(stored, storage), *storage.validate(stored)]
    for check in call.served.gate_checks:
        errors += check(stored, None)
    if call.served.converted:
        resource = call.served.resource
        errors = [error for error in errors if not resource.tolerates(error)] + resource.validate(stored)
    if errors:
        name = stored["metadata"].get("name") or ""
        raise Invalid.of(storage.kind, storage.group, name, errors)


async def write_new(registry: Registry, call: Call, stored: Object) -> Result:
    """Write a prepared object; on a dry run only see that its key is free."""
    served = call.served
    metadata = stored["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace") or ""
    existing = registry.entry(served, namespace, name)
    if existing is not None:
        raise _exists(call, name, existing)
    if call.dry_run:
        return Result(served=served, object=served.from_storage(stored), created=True)
    value = await registry.encode(served, stored)
    try:
        record = await call.stored(
            registry.store.create(served.root.prefix + served.key(namespace, name), value)
        )
    except KeyExists:
        raise _exists(call, name, registry.entry(served, namespace, name)) from None
    return Result(served=served, entry=await registry.seen(served, record), created=True)


def _exists(call: Call, name: str, existing: Entry | None) -> ApiError:
    resource = call.served.resource
    error = AlreadyExists.of(resource.plural, resource.group, name)
    if existing is not None and existing.decode()["metadata"].get("deletionTimestamp"):
        error.message = f"object is being deleted: {error.message}"
    return error
