"""Objects that are stored and cannot be made out: what is answered about them, and how they are got rid of.

Upstream: apiserver/pkg/storage/etcd3/corrupt_obj_deleter.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from podium.apiserver.registry.call import Call
from podium.base.log import Log
from podium.machinery.errors import (
    ApiError,
    FieldError,
    Forbidden,
    InternalError,
    Invalid,
    Json,
    StoreReadError,
    qualified,
)
from podium.store.protocol import KeyMissing, Unreadable

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry

IGNORE_READ_ERROR = "ignoreStoreReadErrorWithClusterBreakingPotential"
"""The option of a deletion that asks for it."""
CAUSES_MAX = 100
_VERB = "unsafe-delete-ignore-read-errors"

_log = Log("podium.apiserver")


def of(call: Call) -> ApiError | None:
    """Return what is to be said about the object that `call` names; None when it merely is not there."""
    found = call.served.root.unreadable.get(call.served.key(call.namespace, call.name))
    if found is None:
        return None
    text = (
        _corrupt(found.key.removeprefix("/registry"), found) if call.served.unsafe_deletion else found.error
    )
    return _internal(text)


def within(call: Call, prefix: str, name: str) -> ApiError | None:
    """Return what is to be said about a list of what begins with `prefix`, or of one `name`; None when all of
    it can be read."""
    root = call.served.root
    lost = {
        key: one
        for key, one in sorted(root.unreadable.items())
        if (key == prefix + name if name else key.startswith(prefix))
    }
    if not lost:
        return None
    first = next(iter(lost.values()))
    if not call.served.unsafe_deletion:
        return _internal(f'unable to transform key "{first.key}": {first.error}')
    resource = call.served.resource
    causes: list[Mapping[str, Json]] = [
        {"reason": "UnexpectedServerResponse", "message": _corrupt(one.key, one), "field": one.key}
        for one in islice(lost.values(), CAUSES_MAX)
    ]
    if len(lost) > CAUSES_MAX:
        causes.append({"reason": "FieldValueTooMany", "message": "too many errors, the list is truncated"})
    details: dict[str, Json] = {"name": "list", "kind": resource.plural, "causes": causes}
    if resource.group:
        details["group"] = resource.group
    named = qualified(resource.plural, resource.group)
    return StoreReadError(f"failed to read one or more {named} from the storage", details=details)


async def delete(registry: Registry, call: Call) -> None:
    """Remove the object that `call` names from the store, whatever it is.

    Neither finalizers nor preconditions nor admission have a say, for nobody knows what they would see.
    Raises `Invalid` for an object that can be read, and `Forbidden`.
    """
    call.annotations.setdefault("apiserver.k8s.io/unsafe-delete-ignore-read-error", "")
    served = call.served
    resource, key = served.resource, served.key(call.namespace, call.name)
    await _authorize(registry, call)
    if key not in served.root.unreadable:
        detail = "is exclusively used to delete corrupt object(s), try again by removing this option"
        raise Invalid.of(
            resource.plural, resource.group, call.name, [FieldError.invalid(IGNORE_READ_ERROR, True, detail)]
        )
    _log.warning("an object that cannot be read is deleted", key=served.root.prefix + key)
    try:
        change = await registry.store.delete(served.root.prefix + key, expected_revision=0)
    except KeyMissing:
        return
    await registry.cacher.wait_for(change.revision)


async def _authorize(registry: Registry, call: Call) -> None:
    decision = await registry.may(call, call.as_verb(_VERB))
    resource = call.served.resource
    if not decision.allowed:
        named = qualified(resource.plural, resource.group)
        raise Forbidden(
            f'{named} "{call.name}" is forbidden: not permitted to do "{_VERB}", reason: {decision.reason}',
            details={"name": call.name, "kind": resource.plural},
        )


def _corrupt(key: str, found: Unreadable) -> str:
    return (
        f"StorageError: corrupt object, Code: 7, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: data "
        f"from the storage is not transformable revision=0: {found.error}"
    )


def _internal(text: str) -> InternalError:
    return InternalError(f"Internal error occurred: {text}", details={"causes": [{"message": text}]})
