"""PriorityLevelConfiguration, flowcontrol.apiserver.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Json, Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, blank, child, given
from podium.resources.printing import AGE, NAME, NONE, column
from podium.resources.printing import spec as spec_of


def _defaults(level: Object) -> None:
    spec = child(level, "spec")
    limited, exempt = given(spec, "limited"), given(spec, "exempt")
    if limited is not None:
        absent(limited, "nominalConcurrencyShares", 30)
        absent(limited, "lendablePercent", 0)
        queuing = given(child(limited, "limitResponse"), "queuing")
        if queuing is not None:
            blank(queuing, "queues", 64)
            blank(queuing, "handSize", 8)
            blank(queuing, "queueLengthLimit", 50)
    if exempt is not None:
        absent(exempt, "nominalConcurrencyShares", 0)
        absent(exempt, "lendablePercent", 0)
    child(level, "status")


def _prepare_create(level: Object) -> None:
    level["status"] = {}


def _shares(level: Object) -> Json:
    limited = given(spec_of(level), "limited")
    return NONE if limited is None else limited.get("nominalConcurrencyShares")


def _queuing(level: Object, name: str) -> Json:
    limited = given(spec_of(level), "limited") or {}
    queuing = given(given(limited, "limitResponse") or {}, "queuing")
    return NONE if queuing is None else queuing.get(name)


PRIORITYLEVELCONFIGURATIONS = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    namespaced=False,
    schema="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
    metadata_again=1,
    compares_metadata=False,
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Type", lambda obj: spec_of(obj).get("type") or ""),
        column("NominalConcurrencyShares", _shares),
        column("Queues", lambda obj: _queuing(obj, "queues")),
        column("HandSize", lambda obj: _queuing(obj, "handSize")),
        column("QueueLengthLimit", lambda obj: _queuing(obj, "queueLengthLimit")),
        AGE,
    ),
    validate=deferred.check("flowcontrol.validation", "validate_level"),
    validate_update=deferred.check_new("flowcontrol.validation", "validate_level"),
    validate_status_update=deferred.update_check("flowcontrol.validation", "validate_status"),
)
