"""The fake API with what kubelets need of it: status patches, tokens, last deletes."""

from __future__ import annotations

from podium.client.client import PatchType
from podium.machinery import meta
from podium.machinery.errors import Conflict, Json, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.core.pods import PODS
from tests.runtime.fakes import FakeApi, FakeClient


class NodeApi(FakeApi):
    """Deletes are immediate with grace 0 and marks otherwise, as for pods on a node."""

    def node_client(self) -> NodeClient:
        return NodeClient(self)

    def mark_deleted(self, key: str, *, grace_s: int = 30) -> None:
        def mark(pod: Object) -> None:
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:30Z"
            pod["metadata"]["deletionGracePeriodSeconds"] = grace_s

        self.change(PODS, key, mark)


class NodeClient(FakeClient):
    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Object:
        if subresource == "token":
            expires = "2026-01-01T01:00:00Z"
            return {**obj, "status": {"token": f"jwt-of-{name}", "expirationTimestamp": expires}}
        return await super().create(resource, obj, namespace)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Json,
        namespace: str | None = None,
        *,
        type: PatchType = "merge",
        subresource: str = "",
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """Status patches as the kubelet makes them: conditions merge by type, markers are dropped."""
        key = f"{namespace}/{name}" if namespace else name
        held = self.api.get(resource, key)
        if held is None:
            raise NotFound.of(resource.plural, resource.group, name)
        wanted_uid = (patch.get("metadata") or {}).get("uid")
        if wanted_uid not in (None, meta.uid(held)):
            raise Conflict.of(resource.plural, resource.group, name, "the UID does not match")
        self._before("patch", resource, held)

        def change(obj: Object) -> None:
            status = obj.setdefault("status", {})
            for field, value in (patch.get("status") or {}).items():
                if field == "conditions":
                    by_type = {entry["type"]: entry for entry in status.get("conditions") or ()}
                    for entry in value:
                        by_type[entry["type"]] = {**by_type.get(entry["type"], {}), **entry}
                    status[field] = list(by_type.values())
                elif isinstance(value, list):
                    status[field] = [entry for entry in value if entry != {"$patch": "replace"}]
                elif value is None:
                    status.pop(field, None)
                else:
                    status[field] = value

        return self.api.change(resource, key, change)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_s: int | None = None,
        propagation: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        key = f"{namespace}/{name}" if namespace else name
        held = self.api.get(resource, key)
        if held is None:
            raise NotFound.of(resource.plural, resource.group, name)
        if uid not in (None, meta.uid(held)):
            raise Conflict.of(resource.plural, resource.group, name, "the UID does not match")
        self._before("delete", resource, held)
        return self.api.remove(resource, key)


__all__ = ["NodeApi", "NodeClient"]
