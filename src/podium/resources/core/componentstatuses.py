"""ComponentStatus, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import items
from podium.resources.printing import NAME, column


def _healthy(component: Object) -> Object:
    return next((c for c in items(component, "conditions") if c.get("type") == "Healthy"), {})


def _state(component: Object) -> str:
    healthy = _healthy(component)
    if not healthy:
        return "Unknown"
    return "Healthy" if healthy.get("status") == "True" else "Unhealthy"


COMPONENTSTATUSES = Resource(
    version="v1",
    kind="ComponentStatus",
    plural="componentstatuses",
    namespaced=False,
    short_names=("cs",),
    verbs=("get", "list"),
    schema="io.k8s.api.core.v1.ComponentStatus",
    stored=False,
    deprecation="v1 ComponentStatus is deprecated in v1.19+",
    columns=(
        NAME,
        column("Status", _state),
        column("Message", lambda obj: _healthy(obj).get("message") or ""),
        column("Error", lambda obj: _healthy(obj).get("error") or ""),
    ),
)
