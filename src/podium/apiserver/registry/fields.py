"""Who owns which field: the registry's side of `machinery.managed_fields`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podium.apiserver.registry.call import Call
from podium.apiserver.registry.special.certificates import is_certificate_request
from podium.machinery import managed_fields
from podium.machinery.errors import Object

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry

_STATUS = (("status",),)
_NOT_STATUS = (("spec",),)
_NOT_STATUS_OF_CUSTOM = (("metadata",), ("spec",))


def ignored(call: Call) -> tuple[tuple[str, ...], ...]:
    """Return the fields that a write of this kind cannot set, so nobody comes to own them by it."""
    resource = call.served.resource
    if is_certificate_request(resource) and not call.subresource:
        # Its spec never changes and says who asked: nobody owns any of it.
        return (*_STATUS, *_NOT_STATUS)
    if not resource.status:
        return ()
    if call.subresource == "status":
        if call.served.custom:
            return _NOT_STATUS_OF_CUSTOM
        return _NOT_STATUS
    return _STATUS if not call.subresource else ()


def track_create(registry: Registry, call: Call, obj: Object) -> None:
    """Note in metadata.managedFields of the new `obj` that the call's manager set its fields."""
    schema = registry.schema_of(call.served.resource.schema)
    schema.complete(obj)
    managed_fields.update(
        obj,
        None,
        manager=call.field_manager,
        api_version=call.served.resource.api_version,
        now=registry.clock.now(),
        schema=schema,
        subresource=call.subresource,
        ignored=ignored(call),
    )


def track_update(registry: Registry, call: Call, new: Object, old: Object) -> None:
    """Note in metadata.managedFields of `new` which fields the call's manager changed."""
    schema = registry.schema_of(call.served.resource.schema)
    schema.complete(new)
    managed_fields.update(
        new,
        old,
        manager=call.field_manager,
        api_version=call.served.resource.api_version,
        now=registry.clock.now(),
        schema=schema,
        subresource=call.subresource,
        ignored=ignored(call),
    )


def track_other(registry: Registry, call: Call, obj: Object, schema_name: str) -> None:
    """As `track_create`, for an object of another kind than the call's resource, which is answered only."""
    schema = registry.schema_of(schema_name)
    schema.complete(obj)
    managed_fields.update(
        obj,
        None,
        manager=call.field_manager,
        api_version=str(obj["apiVersion"]),
        now=registry.clock.now(),
        schema=schema,
        subresource=call.subresource,
    )
