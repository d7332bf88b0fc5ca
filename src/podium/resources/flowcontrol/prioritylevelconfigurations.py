"""PriorityLevelConfiguration, flowcontrol.apiserver.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

PRIORITYLEVELCONFIGURATIONS = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    namespaced=False,
    schema="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
    status=True,
    generation=True,
)
