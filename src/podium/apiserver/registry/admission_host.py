"""What the server does for admission plugins (`chain.Host`): other versions of objects, other objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import orjson

from podium.apiserver.chain import LOOPBACK_USER, MASTERS, Kind, User
from podium.apiserver.registry.call import Call
from podium.machinery.errors import Object
from podium.machinery.resource import Resource

if TYPE_CHECKING:
    from podium.apiserver.admission.metrics import AdmissionMetrics
    from podium.apiserver.registry.registry import Registry
    from podium.apiserver.registry.served import Served
    from podium.apiserver.webhook_client import WebhookClient


class AdmissionHost:
    """One registry, as plugins see it."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._equivalents: dict[tuple[str, str, str, str], tuple[Resource, ...]] = {}
        registry.catalog.on_change(self._equivalents.clear)

    @property
    def metrics(self) -> AdmissionMetrics | None:
        metrics = self._registry.metrics
        return None if metrics is None else metrics.admission

    @property
    def webhooks(self) -> WebhookClient:
        return self._registry.webhooks

    def equivalents(self, resource: Resource, subresource: str) -> Sequence[Resource]:
        """Return every resource that shows the same objects, in the order in which they are served."""
        key = (resource.group, resource.version, resource.plural, subresource)
        found = self._equivalents.get(key)
        if found is None:
            root = (resource.storage or resource).storage_root
            found = self._equivalents[key] = tuple(
                served.resource
                for resources in self._registry.catalog.versions().values()
                for served in resources.values()
                if served.storage.storage_root == root and _has(served.resource, subresource)
            )
        return found

    def kind_of(self, resource: Resource, subresource: str) -> Kind:
        if subresource == "scale" and resource.scale is not None:
            group, _, version = resource.scale.version.rpartition("/")
            return Kind(group=group, version=version, kind="Scale")
        for one in resource.subresources:
            if one.name == subresource:
                group, version = (
                    (one.group, one.version) if one.version else (resource.group, resource.version)
                )
                return Kind(group=group, version=version, kind=one.kind)
        return Kind(group=resource.group, version=resource.version, kind=resource.kind)

    async def convert(self, obj: Object, source: Resource, target: Resource) -> Object:
        """Return `obj` in the version of `target`; what has a kind of its own stays as it is."""
        if source is target or obj.get("kind") != source.kind:
            return obj
        return await self._served(target).converted_from(self._served(source), obj)

    def complete(self, obj: Object, resource: Resource) -> Sequence[str]:
        if obj.get("kind") != resource.kind:
            return ()
        schema = self._registry.schema_of(resource.schema)
        unknown = schema.decode(obj)
        if obj.get("metadata") is None:
            obj["metadata"] = {}
        resource.defaults(obj)
        schema.complete(obj)
        return unknown

    def merged(self, obj: Object, config: Object, resource: Resource) -> Object:
        from podium.machinery.patch.configuration import merge  # noqa: PLC0415

        return merge(obj, config, self._registry.schema_of(resource.schema))

    def find_kind(self, api_version: str, kind: str) -> Resource | None:
        served = self._registry.catalog.find_kind(api_version, kind)
        return None if served is None or not served.resource.stored else served.resource

    async def create(self, resource: Resource, obj: Object) -> None:
        from podium.apiserver.registry.create import create  # noqa: PLC0415 - which imports this room

        call = Call(
            served=self._served(resource),
            user=User(name=LOOPBACK_USER, groups=(MASTERS,)),
            name=obj["metadata"]["name"],
            field_manager="podium",
        )
        whole = {"kind": resource.kind, "apiVersion": resource.api_version, **obj}
        resource.defaults(whole)
        await create(self._registry, call, whole)

    async def merge(self, resource: Resource, namespace: str, name: str, patch: Object) -> None:
        from podium.apiserver.registry import patch as patches  # noqa: PLC0415 - which imports this room

        call = Call(
            served=self._served(resource),
            user=User(name=LOOPBACK_USER, groups=(MASTERS,)),
            namespace=namespace,
            name=name,
            field_manager="kube-apiserver",
        )
        await patches.patch(self._registry, call, patches.MERGE_PATCH, orjson.dumps(patch), force=False)

    async def objects(self, resource: Resource, namespace: str, name: str = "") -> Sequence[Object]:
        served = self._served(resource)
        if name:
            entry = self._registry.entry(served, namespace, name)
            entries = [] if entry is None else [entry]
        else:
            prefix = f"{namespace}/" if namespace and resource.namespaced else ""
            entries = list(served.root.range(prefix))
        if served.needs_preparing:
            await served.prepare(entries)
        if served.custom or served.converted:
            return [served.object(entry) for entry in entries]
        return [entry.shared(resource.kind, resource.api_version) for entry in entries]

    def _served(self, resource: Resource) -> Served:
        return self._registry.catalog.of(resource)


def _has(resource: Resource, subresource: str) -> bool:
    if not subresource:
        return True
    if subresource == "status":
        return resource.status
    if subresource == "scale":
        return resource.scale is not None
    return any(one.name == subresource for one in resource.subresources)
