"""PriorityLevelConfiguration, flowcontrol.apiserver.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import absent, blank, child, given


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


PRIORITYLEVELCONFIGURATIONS = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    namespaced=False,
    schema="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
)
