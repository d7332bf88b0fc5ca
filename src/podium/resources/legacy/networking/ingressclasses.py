"""IngressClass, networking.k8s.io/v1beta1."""

from __future__ import annotations

from podium.resources.legacy.networking.ingresses import NETWORKING
from podium.resources.legacy.older import older
from podium.resources.networking.ingressclasses import INGRESSCLASSES

V1BETA1 = older(
    INGRESSCLASSES,
    NETWORKING,
    deprecated=(1, 19),
    removed=(1, 22),
    # Upstream recommends the list.
    replacement="networking.k8s.io/v1 IngressClassList",
)
