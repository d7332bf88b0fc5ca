"""StorageVersionMigration, storagemigration.k8s.io/v1beta1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child, given, items
from podium.resources.printing import column, name, spec, status

_STATES = ("Running", "Failed", "Succeeded")


def _defaults(migration: Object) -> None:
    child(child(migration, "spec"), "resource")
    child(migration, "status")


def _prepare_create(migration: Object) -> None:
    migration["status"] = {}


def _resource(migration: Object) -> str:
    resource = given(spec(migration), "resource") or {}
    return ".".join(str(resource[key]) for key in ("resource", "group") if resource.get(key))


def _state(migration: Object) -> str:
    state = "Unknown"
    for condition in items(status(migration), "conditions"):
        if condition.get("status") == "True" and condition.get("type") in _STATES:
            state = str(condition["type"])
    return state


STORAGEVERSIONMIGRATIONS = Resource(
    group="storagemigration.k8s.io",
    version="v1beta1",
    kind="StorageVersionMigration",
    plural="storageversionmigrations",
    namespaced=False,
    schema="io.k8s.api.storagemigration.v1beta1.StorageVersionMigration",
    gate="StorageVersionMigrator",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        column("Name", name),
        column("Resource", _resource),
        column("Status", _state),
    ),
    validate=deferred.check("storagemigration.validation", "validate_migration"),
    validate_update=deferred.update_check("storagemigration.validation", "validate_migration_update"),
    validate_status_update=deferred.update_check("storagemigration.validation", "validate_migration_status"),
    unconditional_update=False,
)
