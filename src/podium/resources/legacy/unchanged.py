"""Older versions that differ from the current ones in little but their name."""

from __future__ import annotations

from podium.machinery.derived import Package
from podium.machinery.resource import Resource
from podium.resources.apiregistration.apiservices import APISERVICES
from podium.resources.coordination.leases import LEASES
from podium.resources.events.events import EVENTS
from podium.resources.legacy.older import Release, older
from podium.resources.node.runtimeclasses import RUNTIMECLASSES
from podium.resources.scheduling.priorityclasses import PRIORITYCLASSES


def _beta(resource: Resource, deprecated: Release, removed: Release, *, advised: bool = True) -> Resource:
    """Return v1beta1 of a resource, whose package is named like that of v1."""
    current = resource.schema.rpartition(".")[0]
    package = Package(
        name=current.removesuffix("v1") + "v1beta1",
        group=resource.group,
        version="v1beta1",
        bases=(current,),
    )
    _PACKAGES.append(package)
    return older(
        resource,
        package,
        deprecated=deprecated,
        removed=removed,
        replacement="" if advised else None,
    )


_PACKAGES: list[Package] = []

RESOURCES = (
    _beta(APISERVICES, (1, 19), (1, 22)),
    _beta(LEASES, (1, 19), (1, 22)),
    _beta(EVENTS, (1, 22), (1, 25), advised=False),
    _beta(RUNTIMECLASSES, (1, 22), (1, 25), advised=False),
    _beta(PRIORITYCLASSES, (1, 14), (1, 22)),
)
PACKAGES = tuple(_PACKAGES)
