"""Running plugins over one write, as the registry does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from podium.apiserver.chain import AdmissionPlugin, Attributes, Operation, User
from podium.machinery import meta
from podium.machinery.errors import ApiError, Object
from podium.machinery.resource import Resource
from tests.apiserver.fakes import user

ALICE = user("alice", "system:authenticated")


def attributes_for(
    resource: Resource,
    obj: Object | None,
    *,
    old: Object | None = None,
    operation: Operation | None = None,
    namespace: str = "ns",
    name: str = "",
    subresource: str = "",
    who: User = ALICE,
) -> Attributes:
    """Return the attributes of a write; CREATE, or UPDATE where there is an old object, unless told."""
    return Attributes(
        operation=operation or ("UPDATE" if old is not None else "CREATE"),
        resource=resource,
        subresource=subresource,
        namespace=namespace if resource.namespaced else "",
        name=name or (meta.name(old) if old else ""),
        object=obj,
        old_object=old,
        user=who,
    )


def admit(plugins: AdmissionPlugin | Sequence[AdmissionPlugin], attributes: Attributes) -> ApiError | None:
    """Run both hooks, each admit twice (a retried update does that); return what was raised."""
    listed = plugins if isinstance(plugins, Sequence) else [plugins]

    async def run() -> None:
        for _ in range(2):
            for plugin in listed:
                await plugin.admit(attributes)
        for plugin in listed:
            await plugin.validate(attributes)

    try:
        asyncio.run(run())
    except ApiError as error:
        return error
    return None


def why(error: ApiError | None) -> str:
    """Return a refusal without its head: `pods "a" is forbidden: `."""
    return "" if error is None else error.message.partition(" is forbidden: ")[2] or error.message


def pod(name: str = "p", **spec: object) -> Object:
    containers = [{"name": "c", "image": "i"}]
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"containers": containers, **spec}}
