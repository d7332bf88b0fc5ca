"""IPAddress, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

IPADDRESSES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="IPAddress",
    plural="ipaddresses",
    namespaced=False,
    short_names=("ip",),
    schema="io.k8s.api.networking.v1.IPAddress",
)
