"""The kubelet put together: informers feed workers, workers act on the runtime, statuses go back.

pods bound to this node ─→ PodWorker (one each) ─→ Runtime (CRI)
     config maps, tokens ─┘    ↑        └─→ StatusManager ─→ API
             Pleg, Probes ─────┘
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from podium.base.clock import Clock, WallClock
from podium.base.log import Log
from podium.client.client import Client
from podium.kubelet import machine
from podium.kubelet.cgroups import make_room
from podium.kubelet.cri.runtime import Image, Runtime, RuntimeFault, RuntimeStatus, Sandbox
from podium.kubelet.images import Images
from podium.kubelet.machine import Machine
from podium.kubelet.network import HostPort, NetworkSettings, NodeNetwork, host_ports
from podium.kubelet.node import NodeReporter
from podium.kubelet.node_status import NodeFacts, allocatable
from podium.kubelet.objects import Objects
from podium.kubelet.paths import Paths
from podium.kubelet.pleg import Pleg
from podium.kubelet.pod_worker import PodInputs, PodWorker
from podium.kubelet.pods import field_path, is_terminal, pod_key, pod_uid
from podium.kubelet.probes import Probes
from podium.kubelet.sandbox_config import ClusterSettings, HostDns, parse_resolv_conf
from podium.kubelet.status_manager import StatusManager
from podium.kubelet.volumes.manager import Volumes
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.events import Recorder, reference_to
from podium.runtime.informer import Delta, Informer

_log = Log("podium.kubelet")

RUNTIME_CHECK_S = 5.0
RUNTIME_CHECK_SOON_S = 0.1
"""While the runtime or its network is not ready, it is asked more often."""
ORPHAN_GRACE_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletSettings:
    """The kubelet's flags, understood."""

    node_name: str
    node_ips: tuple[str, ...]
    root_dir: Path
    port: int
    network: NetworkSettings
    cluster_dns: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    cgroup_root: str = "podium"
    external_cloud: bool = False


class Kubelet:
    """One node's agent. `run` returns only when cancelled, and leaves all containers running."""

    def __init__(
        self, client: Client, runtime: Runtime, settings: KubeletSettings, *, clock: Clock | None = None
    ) -> None:
        self.clock: Clock = clock or WallClock()
        self.runtime = runtime
        self.paths = Paths(settings.root_dir)
        self.volumes = Volumes(self.paths)
        self.images = Images(runtime, self.clock)
        self.probes = Probes(runtime, self.clock, self.event)
        self._machine: Machine = machine.inspect(settings.root_dir)
        self.settings = ClusterSettings(
            node_name=settings.node_name,
            cluster_domain=settings.cluster_domain,
            cluster_dns=settings.cluster_dns,
            host_dns=_host_dns(),
            host_ips=settings.node_ips,
            cgroup_root=settings.cgroup_root,
            memory_bytes=self._machine.memory_bytes,
        )
        self._kubelet_settings = settings
        self._client = client
        self._recorder = Recorder(client, component="kubelet", host=settings.node_name, clock=self.clock)
        self._statuses = StatusManager(client, self.clock)
        self._pods = Informer(
            client, PODS, field_selector=f"spec.nodeName={settings.node_name}", clock=self.clock
        )
        # Its own Node is all that a kubelet may read of Nodes.
        self._nodes = Informer(
            client, NODES, field_selector=f"metadata.name={settings.node_name}", clock=self.clock
        )
        self._objects = Objects(client, self.clock, self._wake_worker)
        self._pleg = Pleg(runtime, self.clock, self._runtime_changed)
        self._network = NodeNetwork(
            settings.network,
            node_name=settings.node_name,
            nodes=self._nodes,
            changed=self._look_at_runtime,
        )
        self._workers: dict[str, PodWorker] = {}
        self._host_ports: dict[str, tuple[HostPort, ...]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._runtime_status: RuntimeStatus | None = None
        self._runtime_fault = "container runtime status check may not have completed yet"
        self._runtime_wake = asyncio.Event()
        self._reporter: NodeReporter | None = None

    # What workers need (pod_worker.Node)

    async def inputs(self, pod: Object, pod_ips: Sequence[str]) -> PodInputs:
        return await self._objects.inputs(
            pod,
            pod_ips=pod_ips,
            host_ips=self.settings.host_ips,
            allocatable=allocatable(self._machine),
        )

    def network_fault(self) -> str | None:
        status = self._runtime_status
        if status is None:
            return self._runtime_fault
        if status.network_ready:
            return None
        return f"container runtime network not ready: NetworkReady=false {status.network_message}"

    def event(self, pod: Object, type: str, reason: str, message: str, container: str = "") -> None:
        reference = dict(reference_to(pod))
        if container:
            reference["fieldPath"] = field_path(pod, container)
        self._recorder.event(reference, type, reason, message)

    def report(self, pod: Object, status: Object, *, over: bool) -> None:
        self._statuses.set(pod, status, over=over)
        running = status.get("phase") in ("Pending", "Running") and not over
        self._set_host_ports(pod_uid(pod), host_ports(pod, status.get("podIP") or "") if running else ())

    def _set_host_ports(self, uid: str, ports: tuple[HostPort, ...]) -> None:
        if self._host_ports.get(uid, ()) == ports:
            return
        self._host_ports[uid] = ports
        if not ports:
            del self._host_ports[uid]
        self._network.set_host_ports(port for each in self._host_ports.values() for port in each)

    # For the server

    def worker_for(self, namespace: str, name: str, uid: str = "") -> PodWorker | None:
        """Return the worker of the pod of that name, the one with `uid` where given."""
        for worker in self._workers.values():
            meta = worker.pod["metadata"]
            if (meta["namespace"], meta["name"]) == (namespace, name) and uid in ("", meta["uid"]):
                return worker
        return None

    def workers(self) -> list[PodWorker]:
        return list(self._workers.values())

    @property
    def machine(self) -> Machine:
        return self._machine

    # Running

    async def run(self) -> None:
        self.paths.pods.mkdir(mode=0o750, parents=True, exist_ok=True)
        try:
            if await asyncio.to_thread(make_room):
                _log.info("moved processes out of the root cgroup, which pods need free")
        except OSError as error:
            _log.warning("the root cgroup cannot be prepared for pods", error=error)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._watch_runtime())
                group.create_task(self._recorder.run())
                group.create_task(self._statuses.run())
                group.create_task(self._nodes.run())
                group.create_task(self._objects.services.run())
                group.create_task(self._network.run())
                group.create_task(self._report_node())
                group.create_task(self._pods.run())
                await self._pods.wait_synced()
                self._pods.subscribe(self._on_pod)
                group.create_task(self._remove_orphans())
                group.create_task(self._pleg.run())
        finally:
            self._group = None
            self.probes.close()
            await self._objects.close()

    async def _report_node(self) -> None:
        """Register once the runtime has said its version, which the Node shows."""
        version = await self._version()
        facts = NodeFacts(
            name=self.settings.node_name,
            ips=self.settings.host_ips,
            port=self._kubelet_settings.port,
            machine=self._machine,
            runtime_version=version,
            external_cloud=self._kubelet_settings.external_cloud,
        )
        self._reporter = NodeReporter(
            self._client,
            self.clock,
            facts,
            pressure=lambda: machine.pressure(self.paths.root),
            not_ready=self._not_ready,
            images=self._present_images,
            event=self._node_event,
        )
        self._node_event("Starting", "Starting kubelet.")
        await self._reporter.run()

    def _node_event(self, reason: str, message: str) -> None:
        name = self.settings.node_name
        # Upstream's kubelet refers to its node by the name in the uid's place, and so does kubectl.
        reference = {"kind": "Node", "apiVersion": "v1", "name": name, "uid": name}
        self._recorder.event(reference, "Normal", reason, message)

    async def _version(self) -> str:
        while True:
            try:
                version = await self.runtime.version()
                return f"{version.name}://{version.version}"
            except RuntimeFault:
                await self.clock.sleep(RUNTIME_CHECK_SOON_S)

    async def _present_images(self) -> list[Image]:
        try:
            return await self.runtime.list_images()
        except RuntimeFault:
            return []

    def _not_ready(self) -> list[str]:
        status = self._runtime_status
        if status is None:
            return [f"container runtime is down: {self._runtime_fault}"]
        faults = []
        if not status.runtime_ready:
            faults.append(f"container runtime not ready: RuntimeReady=false {status.runtime_message}")
        if (network := self.network_fault()) is not None:
            faults.append(network)
        if self._pleg.fault is not None:
            faults.append(f"PLEG is not healthy: {self._pleg.fault}")
        return faults

    async def _watch_runtime(self) -> None:
        """Know whether the runtime and its network are ready; tell the node's status and the workers."""
        while True:
            self._runtime_wake.clear()
            before = self._not_ready()
            try:
                self._runtime_status = await self.runtime.status()
            except RuntimeFault as fault:
                self._runtime_status, self._runtime_fault = None, str(fault)
            after = self._not_ready()
            if before != after:
                if self._reporter is not None:
                    self._reporter.wake()
                for worker in self._workers.values():
                    worker.wake()
            delay_s = RUNTIME_CHECK_SOON_S if after else RUNTIME_CHECK_S
            try:
                async with asyncio.timeout(delay_s):
                    await self._runtime_wake.wait()
            except TimeoutError:
                continue

    def _look_at_runtime(self) -> None:
        self._runtime_wake.set()

    # Pods

    def _on_pod(self, delta: Delta) -> None:
        if delta.old is not None and delta.new is not None:
            old_uid, new_uid = pod_uid(delta.old), pod_uid(delta.new)
            if old_uid != new_uid:
                self._pod_gone(old_uid)
        if delta.new is None:
            self._pod_gone(pod_uid(delta.object))
            return
        worker = self._workers.get(pod_uid(delta.new))
        if worker is not None:
            worker.update(delta.new)
        else:
            self._start_worker(delta.new)

    def _start_worker(self, pod: Object) -> None:
        assert self._group is not None
        worker = self._workers[pod_uid(pod)] = PodWorker(self, pod)
        self._pleg.set_busy(True)
        self._group.create_task(self._run_worker(worker))

    async def _run_worker(self, worker: PodWorker) -> None:
        uid = pod_uid(worker.pod)
        try:
            while True:
                try:
                    await worker.run()
                    return
                except Exception:
                    # One pod's bad luck (or our bug) must not take down the node's other pods.
                    _log.exception("pod worker failed", pod=pod_key(worker.pod))
                    await self.clock.sleep(RUNTIME_CHECK_S)
        finally:
            self._workers.pop(uid, None)
            self._objects.forget(uid)
            self._statuses.forget(uid)
            self._set_host_ports(uid, ())
            self._pleg.set_busy(bool(self._workers))

    def _pod_gone(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.remove()

    def _wake_worker(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None and not is_terminal(worker.pod):
            worker.wake()

    def _runtime_changed(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.wake()

    async def _remove_orphans(self) -> None:
        """Stop and remove the pods that the runtime (or the disk) has and the API has not."""
        while True:
            try:
                sandboxes = await self.runtime.list_sandboxes()
                break
            except RuntimeFault:
                await self.clock.sleep(RUNTIME_CHECK_S)
        known: dict[str, Sandbox] = {sandbox.uid: sandbox for sandbox in sandboxes}
        for uid in await asyncio.to_thread(_folders, self.paths.pods):
            known.setdefault(
                uid,
                Sandbox(
                    id="", name=uid, namespace="unknown", uid=uid, attempt=0, ready=False, created_at_ns=0
                ),
            )
        for uid, sandbox in known.items():
            if uid in self._workers:
                continue
            _log.info("removing a pod that the API no longer has", pod=f"{sandbox.namespace}/{sandbox.name}")
            self._start_worker(_orphan(sandbox))
            self._workers[uid].remove()


def _orphan(sandbox: Sandbox) -> Object:
    """Return as much of a forgotten pod as its removal needs."""
    grace = sandbox.annotations.get("io.kubernetes.pod.terminationGracePeriod", str(ORPHAN_GRACE_S))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": sandbox.name, "namespace": sandbox.namespace, "uid": sandbox.uid},
        "spec": {"containers": [], "terminationGracePeriodSeconds": int(grace)},
    }


def _folders(directory: Path) -> list[str]:
    try:
        return [entry.name for entry in directory.iterdir() if entry.is_dir()]
    except OSError:
        return []


def _host_dns() -> HostDns:
    # systemd-resolved's stub listens on the host's loopback only, where no pod can reach it.
    for path in ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        found = parse_resolv_conf(machine.read(path))
        usable = tuple(server for server in found.servers if not server.startswith("127."))
        if usable:
            return replace(found, servers=usable)
    return HostDns()
