"""Event, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

EVENTS = Resource(
    version="v1",
    kind="Event",
    plural="events",
    namespaced=True,
    short_names=("ev",),
    schema="io.k8s.api.core.v1.Event",
    create_on_update=True,
)
