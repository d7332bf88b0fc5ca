"""The pods that wait for a node.

    add ──▶ active ──pop──▶ in flight ──forget──▶ (placed)
              ▲                │ │
              │    retry ──────┘ └── reject ──▶ unschedulable ──┐
              │       ▼                                         │ an event that one of its rejecters
              └── back-off ◀────────────────────────────────────┘ waits for, or five minutes

Active pods leave by priority, then by the time they came. A pod that failed n times rests 1 s, 2 s, 4 s, …
10 s after its last try. A pod with scheduling gates stays out until the last gate is gone. Events while a
pod is in flight count: its rejection may already have been overtaken.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.base.backoff import Backoff
from podium.base.clock import Clock
from podium.scheduler.framework import ClusterEvent
from podium.scheduler.pod_info import PodInfo

BACKOFF = Backoff(initial_s=1.0, max_s=10.0)
UNSCHEDULABLE_S_MAX = 300.0
"""A pod is tried again after this even if nothing that could help it has been seen."""


@dataclass(slots=True, eq=False)
class QueuedPod:
    """A waiting pod. `info` is always its latest version."""

    info: PodInfo
    added_s: float
    order: int
    attempts: int = 0
    tried_s: float = 0.0
    hopes: frozenset[ClusterEvent] = frozenset()
    """Which events may help it, after a rejection."""
    seen: set[ClusterEvent] = field(default_factory=set)
    """Events since it was taken."""


class SchedulingQueue:
    """Each pod (by uid) is in exactly one place. For one event loop."""

    def __init__(self, *, clock: Clock, events: Mapping[str, frozenset[ClusterEvent]]) -> None:
        """`events` says of each plugin which events are worth a retry of the pods it rejected."""
        self._clock = clock
        self._events = events
        self._orders = itertools.count()
        self._active: dict[str, QueuedPod] = {}
        self._active_heap: list[tuple[int, float, int, str]] = []
        self._resting: dict[str, QueuedPod] = {}
        self._resting_heap: list[tuple[float, int, str]] = []
        self._unschedulable: OrderedDict[str, QueuedPod] = OrderedDict()
        self._hopes: dict[ClusterEvent, dict[str, QueuedPod]] = {event: {} for event in ClusterEvent}
        """The unschedulable pods by the events that may help them: most events help few."""
        self._gated: dict[str, QueuedPod] = {}
        self._in_flight: dict[str, QueuedPod] = {}
        self._wake = asyncio.Event()

    def counts(self) -> Mapping[str, int]:
        """Return how many pods are where, under upstream's names."""
        return {
            "active": len(self._active),
            "backoff": len(self._resting),
            "unschedulable": len(self._unschedulable),
            "gated": len(self._gated),
        }

    # What the watch brings

    def put(self, info: PodInfo) -> None:
        """Take in a pod that waits for a node, or the news of one."""
        uid = info.uid
        if (queued := self._in_flight.get(uid)) is not None:
            if _matters(queued.info, info):
                queued.seen.add(ClusterEvent.POD_CHANGED)
            queued.info = info
        elif (queued := self._active.get(uid)) is not None:
            moved = queued.info.priority != info.priority or info.gated
            queued.info = info
            if moved:
                del self._active[uid]
                self._admit(queued)
        elif (queued := self._resting.get(uid)) is not None:
            queued.info = info
        elif (queued := self._unschedulable.get(uid)) is not None:
            matters = _matters(queued.info, info)
            queued.info = info
            if matters:
                self._rest(self._take_unschedulable(uid))
        elif (queued := self._gated.pop(uid, None)) is not None:
            queued.info = info
            self._admit(queued)
        else:
            now_s = self._clock.monotonic_s()
            self._admit(QueuedPod(info=info, added_s=now_s, order=next(self._orders)))

    def forget(self, uid: str) -> None:
        """Drop a pod: it has a node, or is gone."""
        for place in (self._active, self._resting, self._gated, self._in_flight):
            place.pop(uid, None)
        if uid in self._unschedulable:
            self._take_unschedulable(uid)

    def happened(self, event: ClusterEvent) -> None:
        """Give every pod another try that `event` may have made schedulable."""
        for queued in self._in_flight.values():
            queued.seen.add(event)
        for uid in list(self._hopes[event]):
            self._rest(self._take_unschedulable(uid))

    def _helping(self, plugins: frozenset[str]) -> frozenset[ClusterEvent]:
        """Return the events that may help a pod that `plugins` rejected; none did when there is no node."""
        if not plugins:
            return frozenset((ClusterEvent.NODE_ADDED,))
        return frozenset().union(*(self._events[plugin] for plugin in plugins))

    # What the scheduler does

    async def pop(self) -> QueuedPod:
        """Wait for the next pod; it is in flight until `forget`, `reject` or `retry`."""
        while True:
            self._promote_due()
            while self._active_heap:
                *_, order, uid = heapq.heappop(self._active_heap)
                queued = self._active.get(uid)
                if queued is None or queued.order != order:
                    continue  # dropped meanwhile, or moved
                del self._active[uid]
                queued.attempts += 1
                queued.seen.clear()
                self._in_flight[uid] = queued
                return queued
            await self._wait()

    def reject(self, queued: QueuedPod, plugins: frozenset[str]) -> None:
        """No node can take the pod; try again when something has happened that `plugins` wait for."""
        if not self._land(queued):
            return
        queued.hopes = self._helping(plugins)
        if queued.hopes & queued.seen:
            self._rest(queued)
            return
        self._unschedulable[queued.info.uid] = queued
        for event in queued.hopes:
            self._hopes[event][queued.info.uid] = queued
        if len(self._unschedulable) == 1:
            self._wake.set()  # there is a new first deadline

    def retry(self, queued: QueuedPod) -> None:
        """The try failed for no fault of the pod's; try again after its back-off."""
        if self._land(queued):
            self._rest(queued)

    def _land(self, queued: QueuedPod) -> bool:
        """End a pod's flight; return False when it was dropped meanwhile."""
        if self._in_flight.get(queued.info.uid) is not queued:
            return False
        del self._in_flight[queued.info.uid]
        queued.tried_s = self._clock.monotonic_s()
        return True

    # Between the places

    def _admit(self, queued: QueuedPod) -> None:
        if queued.info.gated:
            self._gated[queued.info.uid] = queued
        else:
            self._activate(queued)

    def _activate(self, queued: QueuedPod) -> None:
        # A fresh order tells stale entries of the heap apart; among pods it only breaks ties.
        queued.order = next(self._orders)
        self._active[queued.info.uid] = queued
        entry = (-queued.info.priority, queued.added_s, queued.order, queued.info.uid)
        heapq.heappush(self._active_heap, entry)
        self._wake.set()

    def _take_unschedulable(self, uid: str) -> QueuedPod:
        queued = self._unschedulable.pop(uid)
        for event in queued.hopes:
            del self._hopes[event][uid]
        return queued

    def _rest(self, queued: QueuedPod) -> None:
        """Put a pod where it belongs after a try: in back-off, or among the active when that is over."""
        rested_s = queued.tried_s + BACKOFF.delay_s(queued.attempts)
        if rested_s <= self._clock.monotonic_s():
            self._admit(queued)
            return
        queued.order = next(self._orders)
        self._resting[queued.info.uid] = queued
        heapq.heappush(self._resting_heap, (rested_s, queued.order, queued.info.uid))
        self._wake.set()

    def _promote_due(self) -> None:
        now_s = self._clock.monotonic_s()
        while self._resting_heap and self._resting_heap[0][0] <= now_s:
            _, order, uid = heapq.heappop(self._resting_heap)
            queued = self._resting.get(uid)
            if queued is not None and queued.order == order:
                del self._resting[uid]
                self._admit(queued)
        while self._unschedulable:
            uid, queued = next(iter(self._unschedulable.items()))
            if queued.tried_s + UNSCHEDULABLE_S_MAX > now_s:
                break
            self._rest(self._take_unschedulable(uid))

    async def _wait(self) -> None:
        """Return when something was added, or when the first deadline is reached."""
        self._wake.clear()
        deadlines = [self._resting_heap[0][0]] if self._resting_heap else []
        if self._unschedulable:
            deadlines.append(next(iter(self._unschedulable.values())).tried_s + UNSCHEDULABLE_S_MAX)
        if not deadlines:
            await self._wake.wait()
            return
        waiting = asyncio.ensure_future(self._wake.wait())
        sleeping = asyncio.ensure_future(
            self._clock.sleep(max(0.0, min(deadlines) - self._clock.monotonic_s()))
        )
        try:
            await asyncio.wait((waiting, sleeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()


def _matters(old: PodInfo, new: PodInfo) -> bool:
    """Tell whether a change of a waiting pod may change its fate: its status alone never does."""
    return old.spec != new.spec or old.labels != new.labels or old.terminating != new.terminating
