"""HorizontalPodAutoscaler, autoscaling/v2."""

from __future__ import annotations

from podium.machinery.resource import Resource

HORIZONTALPODAUTOSCALERS = Resource(
    group="autoscaling",
    version="v2",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    namespaced=True,
    short_names=("hpa",),
    categories=("all",),
    schema="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    status=True,
)
