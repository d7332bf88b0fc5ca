"""StorageVersion, internal.apiserver.k8s.io/v1alpha1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child, items
from podium.resources.printing import AGE, NAME, UNSET, column, joined, status


def _defaults(version: Object) -> None:
    child(version, "spec")
    child(version, "status")


def _prepare_create(version: Object) -> None:
    version["status"] = {}


def _servers(version: Object) -> str:
    servers = items(status(version), "storageVersions")
    return joined(f"{s.get('apiServerID') or ''}={s.get('encodingVersion') or ''}" for s in servers)


STORAGEVERSIONS = Resource(
    group="internal.apiserver.k8s.io",
    version="v1alpha1",
    kind="StorageVersion",
    plural="storageversions",
    namespaced=False,
    schema="io.k8s.api.apiserverinternal.v1alpha1.StorageVersion",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("CommonEncodingVersion", lambda obj: status(obj).get("commonEncodingVersion") or UNSET),
        column("StorageVersions", _servers),
        AGE,
    ),
    name_errors=deferred.name_check("apiserverinternal.validation", "name_errors"),
    validate=deferred.check("apiserverinternal.validation", "validate_storage_version"),
    validate_status_update=deferred.check_new("apiserverinternal.validation", "validate_storage_version"),
    unconditional_update=False,
)
