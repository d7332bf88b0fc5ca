"""IPAddress, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.defaulting import child


def _defaults(address: Object) -> None:
    child(address, "spec")


IPADDRESSES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="IPAddress",
    plural="ipaddresses",
    namespaced=False,
    short_names=("ip",),
    schema="io.k8s.api.networking.v1.IPAddress",
    defaults=_defaults,
)
