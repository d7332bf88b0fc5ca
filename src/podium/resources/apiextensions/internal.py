"""Upstream's internal form of definitions, which shows in its errors.

There, what all versions have in common stands once in the spec, not in the versions: errors speak of
`spec.validation` and `spec.subresources`, and print versions without them.
"""

from __future__ import annotations

from dataclasses import dataclass

from podium.machinery.errors import Json, Object
from podium.machinery.structural.internal import shown_schema
from podium.resources.checks import objects
from podium.resources.defaulting import given

_PARTS = ("schema", "subresources", "additionalPrinterColumns", "selectableFields")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A spec in internal form: `shared` parts by their v1 names, and versions without them."""

    shared: Object
    versions: list[Object]


def hub(spec: Object) -> Hub:
    versions = objects(spec.get("versions"))
    shared: Object = {}
    for part in _PARTS:
        values = [version.get(part) or None for version in versions]
        if values and all(value == values[0] for value in values):
            shared[part] = values[0]
    rest = [{key: value for key, value in version.items() if key not in shared} for version in versions]
    return Hub(shared=shared, versions=rest)


def shown_versions(versions: list[Object]) -> list[Object]:
    """Return the versions of a hub as upstream prints them."""
    return [_version(version) for version in versions]


def _version(version: Object) -> Object:
    schema = given(version, "schema")
    return {
        "Name": version.get("name") or "",
        "Served": bool(version.get("served")),
        "Storage": bool(version.get("storage")),
        "Deprecated": bool(version.get("deprecated")),
        "DeprecationWarning": version.get("deprecationWarning"),
        "Schema": None
        if schema is None
        else {"OpenAPIV3Schema": shown_schema(given(schema, "openAPIV3Schema"))},
        "Subresources": _subresources(given(version, "subresources")),
        "AdditionalPrinterColumns": [_column(c) for c in version.get("additionalPrinterColumns") or ()]
        or None,
        "SelectableFields": [
            {"JSONPath": field.get("jsonPath") or ""} for field in version.get("selectableFields") or ()
        ]
        or None,
    }


def _subresources(declared: Object | None) -> Json:
    if declared is None:
        return None
    scale = given(declared, "scale")
    return {
        "Status": {} if declared.get("status") is not None else None,
        "Scale": None
        if scale is None
        else {
            "SpecReplicasPath": scale.get("specReplicasPath") or "",
            "StatusReplicasPath": scale.get("statusReplicasPath") or "",
            "LabelSelectorPath": scale.get("labelSelectorPath"),
        },
    }


def _column(column: Object) -> Object:
    return {
        "Name": column.get("name") or "",
        "Type": column.get("type") or "",
        "Format": column.get("format") or "",
        "Description": column.get("description") or "",
        "Priority": column.get("priority") or 0,
        "JSONPath": column.get("jsonPath") or "",
    }
