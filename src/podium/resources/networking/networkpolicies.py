"""NetworkPolicy, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

NETWORKPOLICIES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="NetworkPolicy",
    plural="networkpolicies",
    namespaced=True,
    short_names=("netpol",),
    schema="io.k8s.api.networking.v1.NetworkPolicy",
    generation=True,
)
