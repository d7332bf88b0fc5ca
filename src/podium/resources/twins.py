"""Versions of a resource that say the same in the same words: one declaration serves them all."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from podium.machinery.resource import Resource

_CHECKS = ("validate", "validate_update", "validate_status_update", "warnings")


def twin(resource: Resource, version: str, **changes: Any) -> Resource:
    """Return the resource in another version, kept in the storage of `resource`.

    Its objects are told apart by their apiVersion alone. What checks them stands with `resource`; `changes`
    are what differs besides.
    """
    schema = resource.schema.replace(f".{resource.version}.", f".{version}.")
    none = {field.name: field.default for field in fields(Resource) if field.name in _CHECKS}
    shared: dict[str, Any] = {
        **none,
        "version": version,
        "schema": schema,
        "storage": resource,
        "to_storage": dict,
        "from_storage": dict,
    }
    return replace(resource, **{**shared, **changes})


def deprecated(api_version: str, kind: str, since: str, until: str, instead: str = "") -> str:
    """Return the warning that goes with a version on its way out."""
    text = f"{api_version} {kind} is deprecated in v{since}+, unavailable in v{until}+"
    return f"{text}; use {instead} {kind}" if instead else text
