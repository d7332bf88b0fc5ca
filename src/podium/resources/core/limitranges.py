"""LimitRange, v1."""

from __future__ import annotations

from podium.base.ids import new_uid
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child, drop_zero, items, round_amounts


def _defaults(limit_range: Object) -> None:
    for item in items(child(limit_range, "spec"), "limits"):
        round_amounts(item, "min", "max", "default", "defaultRequest", "maxLimitRequestRatio")
        if item.get("type") == "Container":
            default, request = child(item, "default"), child(item, "defaultRequest")
            for name, value in (item.get("max") or {}).items():
                default.setdefault(name, value)
            for name, value in default.items():
                request.setdefault(name, value)
            for name, value in (item.get("min") or {}).items():
                request.setdefault(name, value)
        drop_zero(item, "min", "max", "default", "defaultRequest", "maxLimitRequestRatio")


def _name(limit_range: Object) -> None:
    """One without a name gets one, as upstream."""
    metadata = child(limit_range, "metadata")
    if not metadata.get("name"):
        metadata["name"] = new_uid()


LIMITRANGES = Resource(
    version="v1",
    kind="LimitRange",
    plural="limitranges",
    namespaced=True,
    short_names=("limits",),
    schema="io.k8s.api.core.v1.LimitRange",
    metadata_again=1,
    compares_metadata=False,
    create_on_update=True,
    defaults=_defaults,
    prepare_create=_name,
    validate=deferred.check("core.quota_validation", "validate_limit_range"),
    validate_update=deferred.check_new("core.quota_validation", "validate_limit_range"),
)
