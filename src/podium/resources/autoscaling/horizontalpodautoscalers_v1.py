"""HorizontalPodAutoscaler, autoscaling/v1: the v2 objects with their metrics and behavior in annotations."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.autoscaling import columns
from podium.resources.autoscaling import horizontalpodautoscalers as v2
from podium.resources.autoscaling.conversion import from_v2, to_v2
from podium.resources.defaulting import absent, child
from podium.resources.printing import of_stored


def _defaults(autoscaler: Object) -> None:
    spec = child(autoscaler, "spec")
    child(spec, "scaleTargetRef")
    absent(spec, "minReplicas", 1)
    status = child(autoscaler, "status")
    absent(status, "currentReplicas", 0)
    absent(status, "desiredReplicas", 0)


HORIZONTALPODAUTOSCALERS_V1 = Resource(
    group="autoscaling",
    version="v1",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    namespaced=True,
    short_names=("hpa",),
    categories=("all",),
    schema="io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
    storage=v2.HORIZONTALPODAUTOSCALERS,
    to_storage=to_v2,
    from_storage=from_v2,
    status=True,
    defaults=_defaults,
    columns=of_stored(columns.COLUMNS, to_v2),
)
