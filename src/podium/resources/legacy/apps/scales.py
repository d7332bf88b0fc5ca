"""Scale in the groups of the old workloads: its selector as a map where it is one, and as text."""

from __future__ import annotations

from dataclasses import replace

from podium.machinery.derived import Package
from podium.machinery.resource import Resource, Scale


def old_scale(resource: Resource, package: Package) -> Scale:
    """Return the scale of `resource` as an old version shows it."""
    assert resource.scale is not None
    version = f"{package.group}/{package.version}"
    return replace(resource.scale, version=version, schema=package.definition("Scale"), split_selector=True)
