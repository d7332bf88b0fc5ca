"""Every namespace has the ServiceAccount `default`. Upstream: pkg/controller/serviceaccount."""

from __future__ import annotations

from collections.abc import Iterable

from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, Forbidden
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from podium.runtime.controller import Caches, Context, Controller, Watch, namespace_is_terminating, own_key
from podium.runtime.informer import Delta

NAME = "default"


def _keys_of_account(delta: Delta, _caches: Caches) -> Iterable[str]:
    if delta.new is None and meta.name(delta.object) == NAME:
        return (meta.namespace(delta.object),)
    return ()


async def _reconcile(context: Context, key: str) -> float | None:
    namespace = context.caches[NAMESPACES].get(key)
    if namespace is None or meta.deleting(namespace):
        return None
    if context.caches[SERVICEACCOUNTS].get(f"{key}/{NAME}") is not None:
        return None
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": NAME, "namespace": key},
    }
    try:
        await context.client.create(SERVICEACCOUNTS, account)
    except AlreadyExists:
        return None
    except Forbidden as error:
        if not namespace_is_terminating(error):
            raise
    return None


SERVICEACCOUNT = Controller(
    name="serviceaccount-controller",
    service_account="service-account-controller",
    watches=(
        Watch(resource=NAMESPACES, keys_of=own_key),
        Watch(resource=SERVICEACCOUNTS, keys_of=_keys_of_account),
    ),
    reconcile=_reconcile,
)
