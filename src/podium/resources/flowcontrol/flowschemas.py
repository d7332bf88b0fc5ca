"""FlowSchema, flowcontrol.apiserver.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import blank, child
from podium.resources.printing import AGE, NAME, NONE, column, condition, count
from podium.resources.printing import spec as spec_of

MATCHING_PRECEDENCE = 1000


def _defaults(schema: Object) -> None:
    spec = child(schema, "spec")
    child(spec, "priorityLevelConfiguration")
    blank(spec, "matchingPrecedence", MATCHING_PRECEDENCE)
    child(schema, "status")


def _prepare_create(schema: Object) -> None:
    schema["status"] = {}


def _precedence(schema: Object) -> tuple[int, str]:
    return spec_of(schema).get("matchingPrecedence") or 0, schema["metadata"]["name"]


def _missing(schema: Object) -> str:
    dangling = condition(schema, "Dangling")
    return "?" if dangling is None else str(dangling.get("status"))


FLOWSCHEMAS = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="FlowSchema",
    plural="flowschemas",
    namespaced=False,
    schema="io.k8s.api.flowcontrol.v1.FlowSchema",
    metadata_again=1,
    compares_metadata=False,
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column(
            "PriorityLevel",
            lambda obj: (spec_of(obj).get("priorityLevelConfiguration") or {}).get("name") or "",
        ),
        column("MatchingPrecedence", lambda obj: count(spec_of(obj).get("matchingPrecedence"))),
        column(
            "DistinguisherMethod",
            lambda obj: (spec_of(obj).get("distinguisherMethod") or {}).get("type") or NONE,
        ),
        AGE,
        column("MissingPL", _missing),
    ),
    row_order=_precedence,
    validate=deferred.check("flowcontrol.validation", "validate_schema"),
    validate_update=deferred.check_new("flowcontrol.validation", "validate_schema"),
    validate_status_update=deferred.update_check("flowcontrol.validation", "validate_status"),
)
