"""ServiceAccount, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource, Subresource
from podium.resources.defaulting import items
from podium.resources.printing import AGE, NAME


def _prepare_create(account: Object) -> None:
    """Of Secrets, an account keeps the names alone: its own namespace is the only one they may be in."""
    for secret in items(account, "secrets"):
        name = secret.get("name")
        secret.clear()
        if name:
            secret["name"] = name


SERVICEACCOUNTS = Resource(
    version="v1",
    kind="ServiceAccount",
    plural="serviceaccounts",
    namespaced=True,
    short_names=("sa",),
    schema="io.k8s.api.core.v1.ServiceAccount",
    metadata_again=1,
    subresources=(
        Subresource(
            name="token", kind="TokenRequest", verbs=("create",), group="authentication.k8s.io", version="v1"
        ),
    ),
    delete_returns_object=True,
    prepare_create=_prepare_create,
    prepare_update=lambda new, _old: _prepare_create(new),
    columns=(
        NAME,
        AGE,
    ),
)
