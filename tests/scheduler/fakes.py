"""The fake API with what a scheduler writes: bindings, and conditions merged by type."""

from __future__ import annotations

from podium.client.client import PatchType
from podium.machinery import meta
from podium.machinery.errors import Conflict, Json, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from tests.runtime.fakes import FakeApi, FakeClient
from tests.scheduler.builders import node, pod


class SchedulingClient(FakeClient):
    async def create(
        self,
        resource: Resource,
        obj: Object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        name: str = "",
    ) -> Object:
        if subresource != "binding":
            return await super().create(resource, obj, namespace)
        self._before("bind", resource, obj)
        key = f"{namespace}/{name}"
        found = self.api.get(resource, key)
        if found is None:
            raise NotFound.of("pods", "", name)
        assert obj["metadata"]["uid"] == meta.uid(found)
        if found["spec"].get("nodeName"):
            raise Conflict.of("pods", "", name, f"pod {name} is already assigned to node")
        assert obj["target"]["kind"] == "Node"
        self.api.change(resource, key, lambda one: one["spec"].update(nodeName=obj["target"]["name"]))
        self._after("bind", resource, obj)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}

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
        if resource is PODS:
            assert (type, subresource) == ("strategic", "status")
            found = self.api.get(resource, f"{namespace}/{name}") or {}
            conditions = {c["type"]: c for c in meta.dig(found, "status", "conditions", default=())}
            for condition in patch["status"]["conditions"]:
                conditions[condition["type"]] = {**conditions.get(condition["type"], {}), **condition}
            patch = {**patch, "status": {"conditions": list(conditions.values())}}
        return await super().patch(resource, name, patch, namespace, type="merge", subresource=subresource)


class SchedulingApi(FakeApi):
    def client(self) -> SchedulingClient:
        return SchedulingClient(self)

    def add_node(self, name: str, **arguments: object) -> None:
        self.put(NODES, node(name, **arguments))  # type: ignore[arg-type]

    def add_pod(self, name: str, **arguments: object) -> None:
        self.put(PODS, pod(name, **arguments))  # type: ignore[arg-type]

    def node_of(self, name: str) -> str:
        found = self.get(PODS, f"default/{name}")
        assert found is not None
        return str(found["spec"].get("nodeName", ""))
