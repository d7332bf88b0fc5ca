"""ServiceAccount, v1."""

from __future__ import annotations

from podium.machinery.resource import Resource, Subresource
from podium.resources.printing import AGE, NAME

SERVICEACCOUNTS = Resource(
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    namespaced=True,
    short_names=("sa",),
    schema="io.k8s.api.core.v1.ServiceAccount",
    subresources=(
        Subresource(
            name="token", kind="TokenRequest", verbs=("create",), group="authentication.k8s.io", version="v1"
        ),
    ),
    delete_returns_object=True,
    columns=(
        NAME,
        AGE,
    ),
)
