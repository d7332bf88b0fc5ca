"""DaemonSet, apps/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

DAEMONSETS = Resource(
    group="apps",
    version="v1",
    kind="DaemonSet",
    plural="daemonsets",
    namespaced=True,
    short_names=("ds",),
    categories=("all",),
    schema="io.k8s.api.apps.v1.DaemonSet",
    status=True,
    generation=True,
)
