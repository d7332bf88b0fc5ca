"""Nodes that run no containers: any number of them in one process, for tests and for a look at scale.

They register, keep their leases, and say of every pod bound to them that it runs and is ready. A pod that
does not restart (a Job's) may say when it ends:

    metadata.annotations["podium.dev/simulated-run-seconds"]: "5"

Nothing else of Kubernetes is simulated: the API, the controllers and the scheduler are the real ones.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
from dataclasses import dataclass
from datetime import timedelta

from podium.base.clock import Clock, WallClock, parse_rfc3339, rfc3339, rfc3339_micro
from podium.base.http.message import Headers, Request, Response
from podium.base.log import Log
from podium.client.client import Client
from podium.kubelet.node import LEASE_NAMESPACE, LEASE_RENEW_S, lease_object
from podium.kubelet.node_routes import SIMULATED_LABEL
from podium.kubelet.node_status import KUBELET_VERSION
from podium.kubelet.pods import (
    containers,
    init_containers,
    is_sidecar,
    is_terminal,
    pod_key,
    pod_uid,
    qos_class,
    restart_policy,
)
from podium.kubelet.status_manager import StatusManager
from podium.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound, Object
from podium.resources.coordination.leases import LEASES
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.informer import Delta, Informer

_log = Log("podium.simulate")

RUN_SECONDS = "podium.dev/simulated-run-seconds"
WRITES_MAX = 32
RETRY_S = 1.0
HEARTBEAT_S = 300.0
POD_NETWORK = ipaddress.ip_network("100.64.0.0/10")
"""Shared address space (RFC 6598): plausible, and routed nowhere."""
KILLED = 137
"""The exit code of a container that was ended by SIGKILL."""
IMAGE_ID = "podium.dev/simulated@sha256:" + "0" * 64
LOG_LINE = b"This pod is on a simulated node: no container runs, so there are no logs.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorSettings:
    nodes: int
    name_prefix: str
    cpu: str = "32"
    memory: str = "256Gi"
    pods: str = "110"
    address: str = ""
    """Where `logs` is served for all of them; empty when it is not."""
    port: int = 0


def node_names(settings: SimulatorSettings) -> list[str]:
    width = len(str(settings.nodes))
    return [f"{settings.name_prefix}-{number:0{width}d}" for number in range(1, settings.nodes + 1)]


def simulated_node(name: str, settings: SimulatorSettings, now: str) -> Object:
    """Return a Node as it registers: ready from the start."""
    resources = {
        "cpu": settings.cpu,
        "ephemeral-storage": "1Ti",
        "memory": settings.memory,
        "pods": settings.pods,
    }
    addresses = [{"type": "Hostname", "address": name}]
    if settings.address:
        addresses.insert(0, {"type": "InternalIP", "address": settings.address})
    status: Object = {
        "capacity": resources,
        "allocatable": resources,
        "addresses": addresses,
        "conditions": _conditions(now),
        "nodeInfo": {
            "architecture": "amd64",
            "bootID": "",
            "containerRuntimeVersion": "simulated://1",
            "kernelVersion": "simulated",
            "kubeProxyVersion": "",
            "kubeletVersion": KUBELET_VERSION,
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "Podium simulated node",
            "systemUUID": "",
        },
    }
    if settings.port:
        status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": settings.port}}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                SIMULATED_LABEL: "true",
            },
        },
        "spec": {},
        "status": status,
    }


def _conditions(now: str) -> list[Object]:
    healthy = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    return [
        {
            "type": type,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        for type, status, reason, message in healthy
    ]


def run_seconds(pod: Object) -> float | None:
    """Return how long the pod runs before it succeeds, None for ever."""
    if restart_policy(pod) == "Always":
        return None
    text = (pod["metadata"].get("annotations") or {}).get(RUN_SECONDS)
    try:
        return None if text is None else max(0.0, float(text))
    except ValueError:
        return None


def simulated_status(
    pod: Object, *, now: str, ip: str, host_ip: str, completed: bool = False, killed: bool = False
) -> Object:
    """Return the status of a pod whose containers all run well, have all ended well, or were all killed."""
    completed = completed or killed
    old = pod.get("status") or {}
    start = old.get("startTime") or now
    reason = {"reason": "PodCompleted"} if completed else {}
    ready = "False" if completed else "True"
    conditions: list[Object] = [
        {"type": "PodReadyToStartContainers", "status": ready},
        {"type": "Initialized", "status": "True", **reason},
        {"type": "Ready", "status": ready, **reason},
        {"type": "ContainersReady", "status": ready, **reason},
        {"type": "PodScheduled", "status": "True"},
    ]
    generation = pod["metadata"].get("generation")
    held = {entry["type"]: entry for entry in old.get("conditions") or ()}
    for condition in conditions:
        before = held.get(condition["type"])
        same = before is not None and before.get("status") == condition["status"]
        moment = before.get("lastTransitionTime") if before is not None and same else None
        condition |= {"lastProbeTime": None, "lastTransitionTime": moment or now}
        if generation:
            condition["observedGeneration"] = generation
    status: Object = {
        "phase": "Failed" if killed else "Succeeded" if completed else "Running",
        "conditions": conditions,
        "startTime": start,
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "qosClass": qos_class(pod),
        "containerStatuses": [
            _container_status(pod, container, start, now, ended=completed, killed=killed)
            for container in containers(pod)
        ],
    }
    if generation:
        status["observedGeneration"] = generation
    if host_ip:
        status |= {"hostIP": host_ip, "hostIPs": [{"ip": host_ip}]}
    if init_containers(pod):
        status["initContainerStatuses"] = [
            _container_status(pod, container, start, start, ended=completed or not is_sidecar(container))
            for container in init_containers(pod)
        ]
    return status


def _container_status(
    pod: Object, container: Object, start: str, end: str, *, ended: bool, killed: bool = False
) -> Object:
    container_id = f"simulated://{pod_uid(pod)}/{container['name']}"
    state: Object = {"running": {"startedAt": start}}
    if ended:
        terminated = {"exitCode": 0, "reason": "Completed", "startedAt": start, "finishedAt": end}
        if killed:
            terminated |= {"exitCode": KILLED, "reason": "Error"}
        state = {"terminated": {**terminated, "containerID": container_id}}
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": IMAGE_ID,
        "containerID": container_id,
        "ready": not ended,
        "restartCount": 0,
        "started": not ended,
        "state": state,
        "lastState": {},
    }


class Simulator:
    """All simulated nodes of one process."""

    def __init__(self, client: Client, settings: SimulatorSettings, *, clock: Clock | None = None) -> None:
        self._client = client
        self._settings = settings
        self._clock: Clock = clock or WallClock()
        self._names = set(node_names(settings))
        self._statuses = StatusManager(client, self._clock)
        # Those of all nodes, because a field selector names one node only; unbound pods are left out.
        self._pods = Informer(client, PODS, field_selector="spec.nodeName!=", clock=self._clock)
        self._slots = asyncio.Semaphore(WRITES_MAX)
        self._nodes: dict[str, Object] = {}
        self._ips: dict[str, str] = {}
        self._next_ip = 1
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._statuses.run())
            group.create_task(self._pods.run())
            self._pods.subscribe(self._on_pod)
            for name in sorted(self._names):
                group.create_task(self._live(name))

    # Nodes

    async def _live(self, name: str) -> None:
        """Register a node, then keep its lease and its heartbeat."""
        lease: Object | None = None
        beat_at_s = self._clock.monotonic_s() + HEARTBEAT_S * (0.5 + random.random())
        while True:
            try:
                async with self._slots:
                    if name not in self._nodes:
                        self._nodes[name] = await self._register(name)
                    lease = await self._renew(name, lease)
                    if self._clock.monotonic_s() >= beat_at_s:
                        await self._heartbeat(name)
                        beat_at_s += HEARTBEAT_S
            except NotFound:
                self._nodes.pop(name, None)
                lease = None
            except Conflict:
                lease = None
            except (ApiError, ConnectionError, TimeoutError, OSError) as error:
                _log.warning("simulated node could not speak", node=name, error=error)
                lease = None
            # Spread, so that a thousand nodes do not speak in chorus.
            pause_s = LEASE_RENEW_S * (0.8 + 0.4 * random.random()) if lease is not None else RETRY_S
            await self._clock.sleep(pause_s)

    async def _register(self, name: str) -> Object:
        node = simulated_node(name, self._settings, rfc3339(self._clock.now()))
        try:
            created = await self._client.create(NODES, {k: v for k, v in node.items() if k != "status"})
        except AlreadyExists:
            created = await self._client.get(NODES, name)
        patch: Object = {"status": dict(node["status"])}
        patch["status"]["addresses"] = [*node["status"]["addresses"], {"$patch": "replace"}]
        await self._client.patch(NODES, name, patch, type="strategic", subresource="status")
        return created

    async def _heartbeat(self, name: str) -> None:
        now = rfc3339(self._clock.now())
        beats = [{"type": c["type"], "lastHeartbeatTime": now} for c in _conditions(now)]
        patch = {"status": {"conditions": beats}}
        await self._client.patch(NODES, name, patch, type="strategic", subresource="status")

    async def _renew(self, name: str, lease: Object | None) -> Object:
        wanted = lease_object(self._nodes[name], rfc3339_micro(self._clock.now()))
        if lease is None:
            try:
                return await self._client.create(LEASES, wanted, LEASE_NAMESPACE)
            except AlreadyExists:
                lease = await self._client.get(LEASES, name, LEASE_NAMESPACE)
        return await self._client.update(LEASES, {**lease, "spec": wanted["spec"]})

    # Pods

    def _on_pod(self, delta: Delta) -> None:
        pod = delta.object
        if (pod["spec"].get("nodeName") or "") not in self._names:
            return
        if delta.new is None:
            self._forget(pod_uid(pod))
            return
        if delta.old is not None and pod_uid(delta.old) != pod_uid(pod):
            self._forget(pod_uid(delta.old))
        now = rfc3339(self._clock.now())
        if pod["metadata"].get("deletionTimestamp"):
            self._end_timer(pod_uid(pod))
            # A Job wants to see how its pod ended before it lets it go.
            killed = restart_policy(pod) != "Always"
            status = simulated_status(
                pod, now=now, ip=self._ip(pod), host_ip=self._settings.address, killed=killed
            )
            if is_terminal(pod):
                status = {**status, **(pod.get("status") or {})}
            self._statuses.set(pod, status, over=True)
        elif not is_terminal(pod):
            # A change that was on its way while the pod ended must not bring it back to life.
            ended = (timer := self._timers.get(pod_uid(pod))) is not None and timer.done()
            status = simulated_status(
                pod, now=now, ip=self._ip(pod), host_ip=self._settings.address, completed=ended
            )
            self._statuses.set(pod, status)
            self._schedule_end(pod, status["startTime"])

    def _ip(self, pod: Object) -> str:
        held = (pod.get("status") or {}).get("podIP")
        if held:
            return str(held)
        uid = pod_uid(pod)
        if uid not in self._ips:
            # As a kubelet that starts again would: a start somewhere, so that addresses of pods that are
            # still there are unlikely to be given out twice.
            if self._next_ip == 1:
                self._next_ip = random.randrange(1, POD_NETWORK.num_addresses - 1)
            self._ips[uid] = str(POD_NETWORK[self._next_ip])
            self._next_ip = self._next_ip % (POD_NETWORK.num_addresses - 2) + 1
        return self._ips[uid]

    def _schedule_end(self, pod: Object, start: str) -> None:
        seconds = run_seconds(pod)
        uid = pod_uid(pod)
        if seconds is None or uid in self._timers or self._group is None:
            return
        due = parse_rfc3339(start) + timedelta(seconds=seconds)
        self._timers[uid] = self._group.create_task(self._end(pod, (due - self._clock.now()).total_seconds()))

    async def _end(self, pod: Object, delay_s: float) -> None:
        await self._clock.sleep(max(0.0, delay_s))
        current = self._pods.get(pod_key(pod))
        if current is None or pod_uid(current) != pod_uid(pod) or is_terminal(current):
            return
        status = simulated_status(
            current,
            now=rfc3339(self._clock.now()),
            ip=self._ip(current),
            host_ip=self._settings.address,
            completed=True,
        )
        self._statuses.set(current, status)

    def _end_timer(self, uid: str) -> None:
        task = self._timers.pop(uid, None)
        if task is not None:
            task.cancel()

    def _forget(self, uid: str) -> None:
        self._end_timer(uid)
        self._ips.pop(uid, None)
        self._statuses.forget(uid)


async def serve(request: Request) -> Response:
    """Answer the kubelet API of every simulated node: logs say what they are, the rest is not there."""
    head = request.path.strip("/").partition("/")[0]
    headers = Headers([("content-type", "text/plain; charset=utf-8")])
    if head == "healthz":
        return Response(headers=headers, body=b"ok")
    if head == "containerLogs":
        return Response(headers=headers, body=LOG_LINE)
    return Response(status=501, headers=headers, body=b"the pod is on a simulated node\n")
