"""The scheduler put together: informers feed snapshot and queue, one loop decides, bindings go out at once.

    pods, nodes ──▶ Snapshot, SchedulingQueue ──pop──▶ decide (pure, no await) ──▶ assume ──▶ bind ─┐
                          ▲                                                                         │
                          └──────────────── un-assume, back-off ◀── failed ─────────────────────────┘

At most `WRITES_MAX` bindings and status patches are under way; past that the loop waits before it takes the
next pod. Decisions are made one after the other on a snapshot that holds every earlier one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from time import perf_counter

from podium.base.clock import Clock, WallClock, rfc3339
from podium.base.log import Log
from podium.base.metrics import Registry
from podium.client.client import Client
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.events import Recorder
from podium.runtime.informer import Delta, Informer
from podium.scheduler.cycle import Misfit, Placement, decide
from podium.scheduler.framework import ClusterEvent, Profile
from podium.scheduler.kept import kept_node, kept_pod
from podium.scheduler.metrics import SchedulerMetrics
from podium.scheduler.pod_info import PodInfo, is_terminal, pod_info
from podium.scheduler.profile import default_profile
from podium.scheduler.queue import QueuedPod, SchedulingQueue
from podium.scheduler.snapshot import Snapshot
from podium.scheduler.volume_binder import VolumeBinder
from podium.scheduler.volume_choice import Choice, choose, claims_of
from podium.scheduler.volumes import Volumes

DEFAULT_SCHEDULER_NAME = "default-scheduler"
WRITES_MAX = 64
EVENT_WRITERS = 16
EVENTS_WAITING_MAX = 20_000
"""Each pod is told about once. Upstream starts a routine for each event."""
WRITE_TIMEOUT_S = 30.0
EVENT_MESSAGE_MAX = 1024

_log = Log("podium.scheduler")


class Scheduler:
    """Binds pods whose spec.schedulerName is `name`. `run` works until it is cancelled."""

    def __init__(
        self,
        client: Client,
        *,
        name: str = DEFAULT_SCHEDULER_NAME,
        profile: Profile | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        metrics: Registry | None = None,
    ) -> None:
        self._client = client
        self._name = name
        self._volumes = Volumes()
        self._profile = profile or default_profile(self._volumes)
        self._clock = clock or WallClock()
        self._random = random or Random()
        self._pods = Informer(client, PODS, clock=self._clock, keep=kept_pod)
        self._nodes = Informer(client, NODES, clock=self._clock, keep=kept_node)
        self._recorder = Recorder(
            client, component=name, clock=self._clock, writers=EVENT_WRITERS, queue_max=EVENTS_WAITING_MAX
        )
        self.snapshot = Snapshot()
        events: dict[str, frozenset[ClusterEvent]] = {}
        for plugin in self._profile.filters:
            events[plugin.name] = events.get(plugin.name, frozenset()) | plugin.events
        self.queue = SchedulingQueue(clock=self._clock, events=events)
        self._metrics = SchedulerMetrics(metrics or Registry(), name)
        self._metrics.follow(self.queue.counts, self.snapshot.known)
        self._write_slots = asyncio.Semaphore(WRITES_MAX)
        self._volume_binder = VolumeBinder(
            client,
            self._volumes,
            self.snapshot,
            self._clock,
            lambda: self.queue.happened(ClusterEvent.VOLUME_CHANGED),
        )
        self._nodes.subscribe(self._node_changed)
        self._pods.subscribe(self._pod_changed)

    async def run(self) -> None:
        """Schedule until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._nodes.run())
            group.create_task(self._pods.run())
            group.create_task(self._recorder.run())
            self._volume_binder.start(group)
            # Before both are known, nodes would look emptier than they are.
            await self._nodes.wait_synced()
            await self._pods.wait_synced()
            await self._volume_binder.wait_synced()
            _log.info("scheduling", nodes=len(self.snapshot), **self.queue.counts())
            await self._schedule_for_ever(group)

    # What the watches bring

    def _node_changed(self, delta: Delta) -> None:
        if delta.new is None:
            self.snapshot.remove_node(meta.name(delta.object))
        elif delta.old is None:
            self.snapshot.set_node(delta.new)
            self.queue.happened(ClusterEvent.NODE_ADDED)
        elif _node_facts(delta.old) != _node_facts(delta.new):  # most updates are heartbeats
            self.snapshot.set_node(delta.new)
            self.queue.happened(ClusterEvent.NODE_CHANGED)

    def _pod_changed(self, delta: Delta) -> None:
        pod = delta.object
        uid = meta.uid(pod)
        if delta.new is None or is_terminal(pod):
            self.queue.forget(uid)
            if self.snapshot.remove_pod(uid):
                self.queue.happened(ClusterEvent.POD_REMOVED)
        elif pod["spec"].get("nodeName"):
            if delta.old is not None and _only_status_changed(delta.old, pod):
                return
            self.queue.forget(uid)
            known = self.snapshot.has_pod(uid)
            info = pod_info(pod)
            if self.snapshot.place(info, info.node_name):
                # A change of a placed pod that others can feel is mostly one that frees something.
                self.queue.happened(ClusterEvent.POD_REMOVED if known else ClusterEvent.POD_PLACED)
        elif (pod["spec"].get("schedulerName") or self._name) == self._name:
            if meta.deleting(pod):
                self.queue.forget(uid)
            elif not self.snapshot.is_assumed(uid):
                self.queue.put(pod_info(pod))

    # Deciding

    async def _schedule_for_ever(self, group: asyncio.TaskGroup) -> None:
        while True:
            await self._write_slots.acquire()
            queued = await self.queue.pop()
            group.create_task(self._write(self._schedule(queued)))
            await asyncio.sleep(0)  # a full queue must not keep the watches from being read

    def _schedule(self, queued: QueuedPod) -> Callable[[], Awaitable[None]]:
        """Decide about a pod and take the decision into account; return what to tell the API."""
        info, started = queued.info, perf_counter()
        try:
            decision = decide(info, self.snapshot, self._profile, self._random)
        except Exception as error:
            # A pod that a plugin stumbles over must not keep all the others waiting.
            _log.exception("no decision", pod=info.key)
            self.queue.retry(queued)
            self._metrics.ended("error", perf_counter() - started)
            failure = Misfit(message=f"internal error: {error!r}", plugins=frozenset())
            return lambda: self._report(info, failure, reason="SchedulerError")
        self._metrics.algorithm.observe(perf_counter() - started)
        if isinstance(decision, Placement):
            choice = self._choose_volumes(info, decision.node_name)
            self.snapshot.place(info, decision.node_name, assumed=True)
            self.queue.happened(ClusterEvent.POD_PLACED)
            return lambda: self._bind(queued, info, decision.node_name, choice, started)
        self.queue.reject(queued, decision.plugins)
        self._metrics.ended("unschedulable", perf_counter() - started)
        return lambda: self._report(info, decision)

    def _choose_volumes(self, info: PodInfo, node_name: str) -> Choice:
        if not info.claims:
            return Choice()
        claims = claims_of(info, self._volumes)
        choice = choose(claims, self._volumes, self.snapshot, node_name)
        self._volume_binder.assume(choice)
        return choice

    async def _write(self, write: Callable[[], Awaitable[None]]) -> None:
        try:
            await write()
        finally:
            self._write_slots.release()

    # Telling the API

    async def _bind(
        self, queued: QueuedPod, info: PodInfo, node_name: str, choice: Choice, started: float
    ) -> None:
        binding: Object = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": info.namespace, "name": info.name, "uid": info.uid},
            "target": {"kind": "Node", "name": node_name},
        }
        plugin = 'PreBind plugin "VolumeBinding"'
        try:
            if choice:
                await self._bind_volumes(info, node_name, choice)
            plugin = 'Bind plugin "DefaultBinder"'
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._client.create(
                    PODS, binding, info.namespace, subresource="binding", name=info.name
                )
        except (ApiError, ConnectionError, TimeoutError, OSError) as error:
            self._metrics.ended("error", perf_counter() - started)
            self._volume_binder.forget(choice)
            await self._unbind(queued, info, error, plugin)
            return
        self._metrics.ended("scheduled", perf_counter() - started)
        self._metrics.placed(queued.attempts, self._clock.monotonic_s() - queued.added_s)
        self.queue.forget(info.uid)
        self._recorder.event(
            info.pod,
            "Normal",
            "Scheduled",
            f"Successfully assigned {info.namespace}/{info.name} to {node_name}",
        )

    async def _bind_volumes(self, info: PodInfo, node_name: str, choice: Choice) -> None:
        """Have the pod's volumes bound. That may take minutes, in which others may write."""
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            written = await self._volume_binder.write(choice)

        def pod_is_gone() -> bool:
            pod = self._pods.get(info.key)
            return pod is None or meta.uid(pod) != info.uid or meta.deleting(pod)

        self._write_slots.release()
        try:
            await self._volume_binder.wait_bound(node_name, written, self._pods.wait_until(pod_is_gone))
        finally:
            await self._write_slots.acquire()

    async def _unbind(self, queued: QueuedPod, info: PodInfo, error: Exception, plugin: str) -> None:
        """Undo an assumption after a failed binding, and try again later."""
        # The binding may have arrived although its answer did not: then the watch has said so, or will.
        if self.snapshot.is_assumed(info.uid):
            self.snapshot.remove_pod(info.uid)
            self.queue.happened(ClusterEvent.POD_REMOVED)
        if isinstance(error, NotFound):
            self.queue.forget(info.uid)
            return
        self.queue.retry(queued)
        _log.warning("binding failed", pod=info.key, error=repr(error))
        message = f"running {plugin}: {error}"
        await self._report(info, Misfit(message=message, plugins=frozenset()), reason="SchedulerError")

    async def _report(self, info: PodInfo, misfit: Misfit, *, reason: str = "Unschedulable") -> None:
        """Say on the pod, and in an event, why it has no node yet."""
        self._recorder.event(info.pod, "Warning", "FailedScheduling", _shortened(misfit.message))
        condition: Object = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": misfit.message,
            "lastProbeTime": None,
            "lastTransitionTime": rfc3339(self._clock.now()),
        }
        if generation := meta.generation(info.pod):
            condition["observedGeneration"] = generation
        before = meta.find_condition(info.pod, "PodScheduled")
        if before is not None and before.get("status") == "False":
            condition["lastTransitionTime"] = before.get("lastTransitionTime")
            if all(before.get(key) == value for key, value in condition.items()):
                return
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await self._client.patch(
                    PODS,
                    info.name,
                    {"metadata": {"uid": info.uid}, "status": {"conditions": [condition]}},
                    info.namespace,
                    type="strategic",
                    subresource="status",
                )
        except (ApiError, ConnectionError, TimeoutError, OSError) as error:
            if not isinstance(error, NotFound):
                _log.warning("condition not written", pod=info.key, error=repr(error))


def _node_facts(node: Object) -> tuple[object, ...]:
    """Return what of a node matters here."""
    spec: Object = node.get("spec") or {}
    allocatable = (node.get("status") or {}).get("allocatable")
    return allocatable, spec.get("taints"), bool(spec.get("unschedulable")), meta.labels(node)


def _only_status_changed(old: Object, new: Object) -> bool:
    """Tell whether two versions of a placed pod are the same to the snapshot: kubelets write often."""
    return (
        old["spec"] == new["spec"]
        and meta.labels(old) == meta.labels(new)
        and meta.deleting(old) == meta.deleting(new)
        and meta.owner_references(old) == meta.owner_references(new)
    )


def _shortened(message: str) -> str:
    if len(message) <= EVENT_MESSAGE_MAX:
        return message
    return message[: EVENT_MESSAGE_MAX - 4] + " ..."
