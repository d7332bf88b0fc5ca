"""ResourceQuota, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child, round_amounts
from podium.resources.printing import AGE, NAME, column, quantity_text, status


def _defaults(quota: Object) -> None:
    round_amounts(child(quota, "spec"), "hard")
    round_amounts(child(quota, "status"), "hard", "used")


def _prepare_create(quota: Object) -> None:
    quota["status"] = {}


def _used(quota: Object, *, limits: bool) -> str:
    hard, used = status(quota).get("hard") or {}, status(quota).get("used") or {}
    return ", ".join(
        f"{name}: {quantity_text(used.get(name))}/{quantity_text(hard[name])}"
        for name in sorted(hard)
        if name.startswith("limits.") == limits
    )


RESOURCEQUOTAS = Resource(
    version="v1",
    kind="ResourceQuota",
    plural="resourcequotas",
    namespaced=True,
    short_names=("quota",),
    schema="io.k8s.api.core.v1.ResourceQuota",
    status=True,
    delete_returns_object=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Request", lambda obj: _used(obj, limits=False)),
        column("Limit", lambda obj: _used(obj, limits=True)),
        AGE,
    ),
    warnings=deferred.warnings("core.warnings", "quota_warnings"),
    validate=deferred.check("core.quota_validation", "validate_quota"),
    validate_update=deferred.update_check("core.quota_validation", "validate_quota_update"),
    validate_status_update=deferred.update_check("core.quota_validation", "validate_quota_status"),
)
