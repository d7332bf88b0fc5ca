"""Carries pod statuses to the API: only what changed, newest first lost never, and the last delete.

Workers hand in statuses without waiting; a pod whose status changes while it is being written is written
again. The queue is bounded by the number of pods: one pending status for each.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from podium.base.clock import Clock
from podium.base.log import Log
from podium.client.client import Client
from podium.kubelet.pod_status import OWN_CONDITIONS
from podium.kubelet.pods import pod_key, pod_uid
from podium.machinery.errors import ApiError, Conflict, NotFound, Object
from podium.resources.core.pods import PODS

_log = Log("podium.kubelet.status")

RETRY_S = 1.0
WRITES_MAX = 8
OWN_FIELDS = (
    "phase",
    "observedGeneration",
    "reason",
    "message",
    "hostIP",
    "hostIPs",
    "podIP",
    "podIPs",
    "startTime",
    "initContainerStatuses",
    "containerStatuses",
    "ephemeralContainerStatuses",
    "qosClass",
)


@dataclass(slots=True, kw_only=True)
class _Pending:
    pod: Object
    status: Object
    over: bool


class StatusManager:
    """`set` takes statuses, `run` writes them."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._pending: dict[str, _Pending] = {}
        self._written: dict[str, Object] = {}
        self._writing: set[str] = set()
        self._wake = asyncio.Event()

    def set(self, pod: Object, status: Object, *, over: bool = False) -> None:
        """Take the newest status of a pod. `over`: then delete the pod, whose containers are gone."""
        uid = pod_uid(pod)
        known = self._written.get(uid)
        if not over and uid not in self._pending and uid not in self._writing:
            same = known == status if known is not None else says(pod.get("status") or {}, status)
            if same:
                return
        pending = self._pending.get(uid)
        over = over or (pending is not None and pending.over)
        self._pending[uid] = _Pending(pod=pod, status=status, over=over)
        self._wake.set()

    def forget(self, uid: str) -> None:
        """Drop what is kept of a pod that the API no longer has."""
        self._pending.pop(uid, None)
        self._written.pop(uid, None)

    async def run(self) -> None:
        slots = asyncio.Semaphore(WRITES_MAX)
        async with asyncio.TaskGroup() as group:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for uid in [uid for uid in self._pending if uid not in self._writing]:
                    await slots.acquire()
                    if uid not in self._pending:
                        slots.release()
                        continue
                    self._writing.add(uid)
                    group.create_task(self._write_and_release(uid, self._pending.pop(uid), slots))

    async def _write_and_release(self, uid: str, pending: _Pending, slots: asyncio.Semaphore) -> None:
        try:
            await self._write(uid, pending)
        except (ApiError, ConnectionError, TimeoutError, OSError) as error:
            _log.warning("status not written", pod=pod_key(pending.pod), error=error)
            slots.release()
            await self._clock.sleep(RETRY_S)
            await slots.acquire()
            newer = self._pending.get(uid)
            if newer is None:
                self._pending[uid] = pending
            else:
                newer.over = newer.over or pending.over
        finally:
            slots.release()
            self._writing.discard(uid)
            if uid in self._pending:
                self._wake.set()

    async def _write(self, uid: str, pending: _Pending) -> None:
        meta = pending.pod["metadata"]
        name, namespace = meta["name"], meta["namespace"]
        if self._written.get(uid) != pending.status:
            old = self._written.get(uid) or pending.pod.get("status") or {}
            patch = {"metadata": {"uid": uid}, "status": status_patch(old, pending.status)}
            try:
                await self._client.patch(PODS, name, patch, namespace, type="strategic", subresource="status")
            except NotFound:
                return
            except Conflict:
                # The name belongs to another pod by now.
                _log.debug("pod was replaced", pod=pod_key(pending.pod))
                return
            self._written[uid] = pending.status
        if pending.over:
            try:
                await self._client.delete(PODS, name, namespace, grace_period_s=0, uid=uid)
            except (NotFound, Conflict):
                return


def says(held: Object, status: Object) -> bool:
    """Say whether the API's status `held` already says what the kubelet's `status` does."""
    own = {entry["type"]: entry for entry in held.get("conditions") or () if entry["type"] in OWN_CONDITIONS}
    wanted = {entry["type"]: entry for entry in status.get("conditions") or ()}
    if {key: _without_none(value) for key, value in own.items()} != {
        key: _without_none(value) for key, value in wanted.items()
    }:
        return False
    return all(held.get(field) == status.get(field) for field in OWN_FIELDS)


def _without_none(entry: Object) -> Object:
    return {key: value for key, value in entry.items() if value is not None}


def status_patch(old: Object, new: Object) -> Object:
    """Return the strategic merge patch that makes the kubelet's part of a status be `new`.

    Conditions merge by type, so those of others stay; lists that merge by a key are replaced whole.
    """
    patch: Object = {field: new.get(field) for field in OWN_FIELDS if field in new or field in old}
    for field in ("podIPs", "hostIPs"):
        if patch.get(field) is not None:
            patch[field] = [*patch[field], {"$patch": "replace"}]
    blank = {"reason": None, "message": None}
    patch["conditions"] = [{**blank, **condition} for condition in new.get("conditions") or ()]
    return patch
