"""Whose the fields of the cluster's own objects are: managedFields of what a starting API server writes.

Without them nobody would be tracked on these objects later on: an update starts none where there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from podium.apiserver.flowcontrol.dangling import MANAGER as CONSUMER
from podium.machinery import managed_fields
from podium.machinery.compare import field_set
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.schema import Schema

SchemaOf = Callable[[str], Schema | None]
"""Returns the compiled schema of a definition."""

_PRODUCER = "api-priority-and-fairness-config-producer-v1"
_SERVER = "kube-apiserver"
_FLOW_CONTROL = "flowcontrol.apiserver.k8s.io"
_APPLIED_STATUS = {
    f"flowschemas.{_FLOW_CONTROL}": CONSUMER,
    "servicecidrs.networking.k8s.io": "kubernetes-service-cidr-controller",
}
"""Kinds whose status upstream applies after it has made them, and under which name."""
_GIVEN: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "namespaces": (("spec", "finalizers"),),
    "services": (("spec", "clusterIPs"), ("spec", "ipFamilies")),
}
"""What is given to every object of a kind, so that nobody owns it."""


def note(resource: Resource, new: Object, old: Object | None, schema: Schema | None, now: datetime) -> None:
    """Set the managedFields of `new`, which the API server writes over `old` (None: creates)."""
    managed_fields.update(
        new,
        old,
        manager=_PRODUCER if resource.group == _FLOW_CONTROL else _SERVER,
        api_version=resource.api_version,
        now=now,
        schema=schema,
        ignored=(*_GIVEN.get(resource.group_plural, ()), *((("status",),) if resource.status else ())),
    )
    applier = _APPLIED_STATUS.get(resource.group_plural)
    if applier is not None and old is None:
        fields = field_set({"status": new["status"]}, managed_fields.shape_of(schema))
        entry = managed_fields.new_entry(applier, "Apply", resource.api_version, "status", fields, now)
        entries = [entry, *new["metadata"]["managedFields"]]
        new["metadata"]["managedFields"] = managed_fields.in_order(entries)
