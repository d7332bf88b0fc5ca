"""Who owns which field: the registry's side of `machinery.managed_fields`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from podium.apiserver.registry.call import Call
from podium.apiserver.registry.special.certificates import is_certificate_request
from podium.machinery import managed_fields
from podium.machinery.errors import Object
from podium.machinery.fieldset import FieldSet
from podium.machinery.translation import translated

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry
    from podium.apiserver.registry.served import Served

_STATUS = (("status",),)
_NOT_STATUS = (("spec",),)
_NOT_STATUS_OF: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "deployments.apps": (("metadata", "labels"),),
    "pods": (("metadata", "deletionTimestamp"), ("metadata", "ownerReferences")),
}
"""What of the metadata the status of some kinds cannot set, by group and plural."""
_NO_METADATA_BY_STATUS = frozenset(
    (
        "apiservices.apiregistration.k8s.io",
        "devicetaintrules.resource.k8s.io",
        "flowschemas.flowcontrol.apiserver.k8s.io",
        "podgroups.scheduling.k8s.io",
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
        "resourceclaims.resource.k8s.io",
        "resourcepoolstatusrequests.resource.k8s.io",
        "servicecidrs.networking.k8s.io",
        "storageversionmigrations.storagemigration.k8s.io",
        "storageversions.internal.apiserver.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "volumeattachments.storage.k8s.io",
    )
)
"""Kinds whose status cannot set any of the metadata."""
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
        if call.served.custom or resource.group_plural in _NO_METADATA_BY_STATUS:
            return _NOT_STATUS_OF_CUSTOM
        return (*_NOT_STATUS, *_NOT_STATUS_OF.get(resource.group_plural, ()))
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
        translate=translator(registry, call, old),
    )


def translator(registry: Registry, call: Call, live: Object | None) -> managed_fields.Translate | None:
    """Return what reads the entries of `live`, some of which speak of it in other versions than the call's.

    None when there are no such entries, or none that name fields otherwise.
    """
    served, entries = call.served, managed_fields.entries_of(live)
    own = served.resource.api_version
    if live is None or served.custom or all(entry.get("apiVersion") == own for entry in entries):
        return None
    shape = registry.schema_of(served.resource.schema).shape
    known: dict[str, tuple[Served, Object] | None] = {own: None}

    def in_version(version: str) -> tuple[Served, Object] | None:
        if version not in known:
            other = registry.catalog.find_kind(version, served.resource.kind)
            of_ours = other is not None and not other.custom and other.storage is served.storage
            known[version] = (
                (other, other.from_storage(served.to_storage(live)))
                if other is not None and of_ours
                else None
            )
        return known[version]

    def translate(entry: Object) -> FieldSet:
        fields = managed_fields.fields_of(entry)
        found = in_version(entry.get("apiVersion", ""))
        if found is None:
            return fields
        other, there = found
        return managed_fields.strip_meta(
            translated(
                fields,
                there,
                registry.schema_of(other.resource.schema).shape,
                lambda part: served.from_storage(other.to_storage(part)),
                shape,
            )
        )

    return translate


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
