"""FlowSchema, flowcontrol.apiserver.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

FLOWSCHEMAS = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="FlowSchema",
    plural="flowschemas",
    namespaced=False,
    schema="io.k8s.api.flowcontrol.v1.FlowSchema",
    status=True,
    generation=True,
)
