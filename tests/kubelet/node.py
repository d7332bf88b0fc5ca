"""A node without an API server, for workers: what they report and announce is kept in lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from podium.base.clock import Clock, WallClock
from podium.base.ids import new_uid
from podium.kubelet.cri.runtime import Runtime
from podium.kubelet.environment import EnvironmentSources
from podium.kubelet.images import Images
from podium.kubelet.paths import Paths
from podium.kubelet.pod_worker import PodInputs, PodWorker
from podium.kubelet.probes import Probes
from podium.kubelet.sandbox_config import ClusterSettings
from podium.kubelet.volumes.manager import Volumes
from podium.kubelet.volumes.payload import PayloadSources
from podium.machinery.errors import Object
from tests.kubelet.containerd import CGROUP


def make_pod(*containers: Object, name: str = "web", **spec: Any) -> Object:
    """Return a pod in the namespace shop, as it comes from the API server."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "uid": new_uid(), "generation": 1},
        "spec": {"restartPolicy": "Always", "containers": list(containers), **spec},
    }


class LoneNode:
    """`pod_worker.Node` without a cluster."""

    def __init__(self, runtime: Runtime, directory: Path, *, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or WallClock()
        self.runtime = runtime
        self.paths = Paths(directory)
        self.volumes = Volumes(self.paths)
        self.images = Images(runtime, self.clock)
        self.probes = Probes(runtime, self.clock, self.event)
        self.settings = ClusterSettings(node_name="node-1", host_ips=("192.0.2.1",), cgroup_root=CGROUP)
        self.sources = PayloadSources()
        self.network: str | None = None
        self.events: list[tuple[str, str, str]] = []
        self.status: dict[str, Object] = {}
        self.history: list[Object] = []
        self.over: set[str] = set()
        self._changed = asyncio.Event()

    async def inputs(self, pod: Object, pod_ips: Sequence[str]) -> PodInputs:
        env = replace(self.sources.environment, pod_ips=tuple(pod_ips), host_ips=self.settings.host_ips)
        return PodInputs(sources=replace(self.sources, environment=env))

    def network_fault(self) -> str | None:
        return self.network

    def event(self, pod: Object, type: str, reason: str, message: str, container: str = "") -> None:
        self.events.append((type, reason, message))

    def report(self, pod: Object, status: Object, *, over: bool) -> None:
        uid = pod["metadata"]["uid"]
        if self.status.get(uid) != status:
            self.history.append(status)
        self.status[uid] = status
        if over:
            self.over.add(uid)
        self._changed.set()

    async def until(
        self, pod: Object, condition: Callable[[Object], bool], *, timeout_s: float = 30
    ) -> Object:
        """Return the pod's status once it fulfils `condition`."""
        uid = pod["metadata"]["uid"]
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self._changed.clear()
                    status = self.status.get(uid)
                    if status is not None and condition(status):
                        return status
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not reached: {self.status.get(uid)}; events: {self.events}") from None

    def reasons(self) -> list[str]:
        return [reason for _, reason, _ in self.events]


def config_maps(**objects: Object) -> EnvironmentSources:
    return EnvironmentSources(config_maps=objects)


__all__ = ["LoneNode", "PodWorker", "config_maps", "make_pod"]
