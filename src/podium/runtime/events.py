"""The event recorder: what components tell the user about objects, as core/v1 Events.

`Recorder.event` never blocks and never fails: it puts the event on a bounded queue (full: the event is
dropped and counted), and `Recorder.run` writes what event_correlator.py makes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from podium.base.backoff import Backoff
from podium.base.clock import Clock, WallClock, rfc3339
from podium.base.log import Log
from podium.client.client import Client
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.events import EVENTS
from podium.runtime.event_correlator import Correlator, Said, Told

_log = Log("podium.events")

QUEUE_MAX = 1000
LANE_MAX = 4
"""Events that one writer has before it; all others wait in the queue."""
WRITE_TRIES_MAX = 12
WRITE_BACKOFF = Backoff(initial_s=0.5, max_s=10.0)
MESSAGE_BYTES_MAX = 1024


def reference_to(obj: Object) -> Object:
    """Return the ObjectReference to `obj`; one that is a reference already is returned as it is."""
    if "metadata" not in obj:
        return obj
    metadata = obj["metadata"]
    reference = {
        "kind": obj.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "name": metadata.get("name", ""),
        "uid": metadata.get("uid", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    return {key: value for key, value in reference.items() if value}


class Recorder:
    """Records events in the name of one component."""

    def __init__(
        self,
        client: Client,
        *,
        component: str,
        host: str = "",
        clock: Clock | None = None,
        is_going: Callable[[str], bool] | None = None,
        writers: int = 1,
        queue_max: int = QUEUE_MAX,
    ) -> None:
        """`is_going` tells of a namespace that it is being deleted: no event can be written there. `writers`
        is how many events are written at a time, `queue_max` how many may wait."""
        self._client = client
        self._is_going = is_going
        self._component = component
        self._host = host
        self._clock = clock or WallClock()
        self._queue: asyncio.Queue[Said] = asyncio.Queue(maxsize=queue_max)
        self._lanes: list[asyncio.Queue[Told]] = [asyncio.Queue(maxsize=LANE_MAX) for _ in range(writers)]
        self._correlator = Correlator()
        self.dropped = 0
        """Events lost to the full queue or the spam limit."""

    def event(self, obj: Object, type: str, reason: str, message: str) -> None:
        """Tell about `obj` (an object, or a reference to one). Returns at once; never raises."""
        if len(message.encode()) > MESSAGE_BYTES_MAX:
            message = message.encode()[: MESSAGE_BYTES_MAX - 3].decode(errors="ignore") + "..."
        reference = reference_to(obj)
        said = Said(reference=reference, type=type, reason=reason, message=message, at=self._clock.now())
        try:
            self._queue.put_nowait(said)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Write events until cancelled."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes:
                group.create_task(self._write_all(lane))
            while True:
                said = await self._queue.get()
                told = self._correlator.correlate(said, self._clock.monotonic_s())
                if told is None:
                    self.dropped += 1
                    continue
                # One event's later counts are written behind it.
                await self._lanes[hash(told.name) % len(self._lanes)].put(told)

    async def _write_all(self, lane: asyncio.Queue[Told]) -> None:
        while True:
            told = await lane.get()
            if self._is_going is not None and self._is_going(told.namespace):
                continue
            try:
                await self._write(told)
            except (ApiError, ConnectionError, TimeoutError, OSError) as error:
                _log.warning("event not written", reason=told.said.reason, error=repr(error))

    async def _write(self, told: Told) -> None:
        for attempt in range(1, WRITE_TRIES_MAX + 1):
            try:
                await self._write_once(told)
                return
            except ApiError as error:
                if error.code < 500 and error.code != 429:
                    # The namespace is going, or the event is refused: trying again changes nothing.
                    _log.debug("event refused", reason=told.said.reason, error=error.message)
                    return
                if attempt == WRITE_TRIES_MAX:
                    raise
            except (ConnectionError, TimeoutError, OSError):
                if attempt == WRITE_TRIES_MAX:
                    raise
            await self._clock.sleep(WRITE_BACKOFF.delay_s(attempt))

    async def _write_once(self, told: Told) -> None:
        if told.count > 1:
            last = rfc3339(told.said.at)
            patch = {"count": told.count, "lastTimestamp": last, "message": told.said.message}
            try:
                await self._client.patch(EVENTS, told.name, patch, told.namespace, type="strategic")
                return
            except NotFound:
                pass  # expired, deleted, or the earlier ones were dropped: made, with its count
        await self._client.create(EVENTS, self._event(told))

    def _event(self, told: Told) -> Object:
        said = told.said
        source = {"component": self._component}
        if self._host:
            source["host"] = self._host
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": told.name, "namespace": told.namespace},
            "involvedObject": said.reference,
            "reason": said.reason,
            "message": said.message,
            "source": source,
            "firstTimestamp": told.first,
            "lastTimestamp": rfc3339(said.at),
            "count": told.count,
            "type": said.type,
            "eventTime": None,
            # Upstream's combined events do not say who reports them.
            "reportingComponent": "" if told.combined else self._component,
            "reportingInstance": "" if told.combined else self._host,
        }
