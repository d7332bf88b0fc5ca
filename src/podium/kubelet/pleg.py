"""Notices what happened in the runtime without the kubelet's doing: a container exited, a sandbox died.

containerd 1.6 has no CRI event stream, so this lists sandboxes and containers once a second, two calls,
and only while the node has pods. Workers look for themselves after their own actions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from podium.base.clock import Clock
from podium.base.log import Log
from podium.kubelet.cri.runtime import Runtime, RuntimeFault
from podium.kubelet.sandbox_config import LABEL_POD_UID

_log = Log("podium.kubelet.pleg")

PERIOD_S = 1.0
Seen = dict[str, dict[str, str]]
"""By pod uid: the state of each sandbox and container by id."""


class Pleg:
    """The pod life-cycle event generator; upstream's word."""

    def __init__(self, runtime: Runtime, clock: Clock, changed: Callable[[str], None]) -> None:
        """`changed` is called with the uid of each pod whose containers are not as they were."""
        self._runtime = runtime
        self._clock = clock
        self._changed = changed
        self._seen: Seen = {}
        self._busy = asyncio.Event()
        self.fault: str | None = None
        """Why the last look failed, None when it did not."""

    def set_busy(self, busy: bool) -> None:
        """Say whether the node has pods to look after."""
        if busy:
            self._busy.set()
        else:
            self._busy.clear()

    async def run(self) -> None:
        while True:
            await self.relist()
            await self._clock.sleep(PERIOD_S)
            await self._busy.wait()

    async def relist(self) -> None:
        try:
            seen = await self._look()
        except RuntimeFault as fault:
            if self.fault is None:
                _log.warning("container runtime does not answer", error=fault)
            self.fault = str(fault)
            return
        self.fault = None
        old, self._seen = self._seen, seen
        for uid in seen.keys() | old.keys():
            if seen.get(uid) != old.get(uid):
                self._changed(uid)

    async def _look(self) -> Seen:
        seen: Seen = {}
        for sandbox in await self._runtime.list_sandboxes():
            seen.setdefault(sandbox.uid, {})[sandbox.id] = "ready" if sandbox.ready else "notready"
        for container in await self._runtime.list_containers():
            seen.setdefault(container.labels.get(LABEL_POD_UID, ""), {})[container.id] = container.state
        seen.pop("", None)
        return seen
