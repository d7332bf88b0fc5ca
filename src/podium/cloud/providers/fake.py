"""A cloud in memory, for tests: it does and fails as it is told, and remembers what it was asked.

From the command line (`--cloud-provider=fake --cloud-config=FILE`) the file is JSON:
`{"instances": {"NODE": {"instanceType": "m", "zone": "z", "region": "r"}}}`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from podium.cloud.interface import Cloud, InstanceMetadata, Route, Setup
from podium.machinery import meta
from podium.machinery.errors import Object


def fake(setup: Setup) -> Cloud:
    """Return the provider. Raises ValueError."""
    try:
        described = json.loads(setup.config or b"{}").get("instances") or {}
        instances = {
            name: InstanceMetadata(
                provider_id=f"fake://{name}",
                instance_type=instance.get("instanceType", ""),
                zone=instance.get("zone", ""),
                region=instance.get("region", ""),
                addresses=instance.get("addresses") or (),
            )
            for name, instance in described.items()
        }
    except (ValueError, AttributeError) as error:
        raise ValueError(f"--cloud-config: {error}") from error
    return FakeCloud(known=instances).cloud()


@dataclass(slots=True, kw_only=True)
class FakeCloud:
    """What the cloud has, and its faults."""

    known: dict[str, InstanceMetadata] = field(default_factory=dict)
    """Instances, by node."""
    shut_down: set[str] = field(default_factory=set)
    balancers: dict[str, list[str]] = field(default_factory=dict)
    """uid of a Service -> the nodes its balancer leads to."""
    routes: list[Route] = field(default_factory=list)
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    """Call (`ensure`, `create-route`, ...) -> what its next calls raise, one after the other."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """What was asked: (call, name of the object)."""

    def cloud(self) -> Cloud:
        return Cloud(
            name="fake",
            instances=_Instances(self),
            load_balancers=_LoadBalancers(self),
            routes=_Routes(self),
        )

    def asked(self, call: str, about: str) -> None:
        """Take note of a call; raise the fault that is meant for it."""
        self.calls.append((call, about))
        if faults := self.faults.get(call):
            raise faults.pop(0)


@dataclass(frozen=True, slots=True)
class _Instances:
    fake: FakeCloud

    async def exists(self, node: Object) -> bool:
        self.fake.asked("exists", meta.name(node))
        return meta.name(node) in self.fake.known

    async def shutdown(self, node: Object) -> bool:
        self.fake.asked("shutdown", meta.name(node))
        return meta.name(node) in self.fake.shut_down

    async def metadata(self, node: Object) -> InstanceMetadata | None:
        self.fake.asked("metadata", meta.name(node))
        return self.fake.known.get(meta.name(node))


@dataclass(frozen=True, slots=True)
class _LoadBalancers:
    fake: FakeCloud

    async def get(self, cluster: str, service: Object) -> Object | None:
        self.fake.asked("get", meta.key(service))
        return self._status(service) if meta.uid(service) in self.fake.balancers else None

    async def ensure(self, cluster: str, service: Object, nodes: Sequence[Object]) -> Object:
        self.fake.asked("ensure", meta.key(service))
        self.fake.balancers[meta.uid(service)] = [meta.name(node) for node in nodes]
        return self._status(service)

    async def update(self, cluster: str, service: Object, nodes: Sequence[Object]) -> None:
        self.fake.asked("update", meta.key(service))
        if meta.uid(service) in self.fake.balancers:
            self.fake.balancers[meta.uid(service)] = [meta.name(node) for node in nodes]

    async def ensure_deleted(self, cluster: str, service: Object) -> None:
        self.fake.asked("delete", meta.key(service))
        self.fake.balancers.pop(meta.uid(service), None)

    def _status(self, service: Object) -> Object:
        return {"ingress": [{"hostname": f"{meta.name(service)}.{meta.namespace(service)}.example.com"}]}


@dataclass(frozen=True, slots=True)
class _Routes:
    fake: FakeCloud

    async def list(self, cluster: str) -> Sequence[Route]:
        self.fake.asked("list-routes", "")
        return list(self.fake.routes)

    async def create(self, cluster: str, name_hint: str, route: Route) -> None:
        self.fake.asked("create-route", route.target_node)
        self.fake.routes.append(route)

    async def delete(self, cluster: str, route: Route) -> None:
        self.fake.asked("delete-route", route.target_node)
        self.fake.routes.remove(route)
