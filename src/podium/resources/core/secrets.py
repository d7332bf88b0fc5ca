"""Secret, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource

SECRETS = Resource(
    version="v1",
    kind="Secret",
    plural="secrets",
    namespaced=True,
    schema="io.k8s.api.core.v1.Secret",
)
