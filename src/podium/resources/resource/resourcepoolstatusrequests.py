"""ResourcePoolStatusRequest, resource.k8s.io/v1alpha3."""

from __future__ import annotations

from datetime import datetime

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.table import since
from podium.resources import deferred
from podium.resources.defaulting import absent, child, items
from podium.resources.printing import NAME, NONE, Cell, column, condition_true, count, spec, status, timed
from podium.resources.printing import condition as condition_of

LIMIT = 100


def _defaults(request: Object) -> None:
    absent(child(request, "spec"), "limit", LIMIT)


def _prepare_create(request: Object) -> None:
    request.pop("status", None)


def _failed(request: Object) -> bool:
    return not condition_true(request, "Complete") and condition_true(request, "Failed")


def _sum(field: str) -> Cell:
    """Return the cell that adds a number up over all pools."""

    def cell(request: Object) -> str:
        if request.get("status") is None or _failed(request):
            return "-"
        return str(sum(count(pool.get(field)) for pool in items(status(request), "pools")))

    return cell


def _errors(request: Object) -> str:
    if request.get("status") is None or _failed(request):
        return "-"
    return str(sum(1 for pool in items(status(request), "pools") if pool.get("validationError") is not None))


def _state(request: Object) -> str:
    if _failed(request):
        return "Failed"
    if not condition_true(request, "Complete"):
        return "Pending"
    shown, total = len(list(items(status(request), "pools"))), count(status(request).get("poolCount"))
    return f"Complete ({shown}/{total} pools)" if total > shown else "Complete"


def _completed(request: Object, now: datetime) -> str:
    if not condition_true(request, "Complete"):
        return NONE
    return since(str((condition_of(request, "Complete") or {}).get("lastTransitionTime") or ""), now)


RESOURCEPOOLSTATUSREQUESTS = Resource(
    group="resource.k8s.io",
    version="v1alpha3",
    kind="ResourcePoolStatusRequest",
    plural="resourcepoolstatusrequests",
    namespaced=False,
    schema="io.k8s.api.resource.v1alpha3.ResourcePoolStatusRequest",
    status=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Driver", lambda obj: spec(obj).get("driver") or ""),
        column("Total", _sum("totalDevices")),
        column("Available", _sum("availableDevices")),
        column("Allocated", _sum("allocatedDevices")),
        column("Unavailable", _sum("unavailableDevices")),
        column("Errors", _errors),
        column("Pools", lambda obj: count(status(obj).get("poolCount")), type="integer"),
        column("Status", _state),
        timed("Completed", _completed),
    ),
    delete_returns_object=True,
    validate=deferred.check("resource.rule_validation", "validate_question"),
    validate_update=deferred.update_check("resource.rule_validation", "validate_question_update"),
    validate_status_update=deferred.update_check("resource.rule_validation", "validate_answer"),
    unconditional_update=False,
)
