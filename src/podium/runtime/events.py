"""The event recorder: what components tell the user about objects, as core/v1 Events.

`Recorder.event` never blocks and never fails: it puts the event on a bounded queue (full: the event is
dropped and counted), and `Recorder.run` writes. As upstream's correlator does it:

- the same event again raises `count` and `lastTimestamp` of the one already there;
- more than ten events of one kind (object, reason, type) within ten minutes that differ only in their
  message become one, `(combined from similar events): ...`;
- one object gets a burst of 25 events, then one each five minutes; the rest is dropped.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from podium.base.backoff import Backoff
from podium.base.clock import Clock, WallClock, rfc3339
from podium.base.log import Log
from podium.client.client import Client
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.events import EVENTS

_log = Log("podium.events")

QUEUE_MAX = 1000
REMEMBERED_MAX = 4096
SIMILAR_MAX = 10
SIMILAR_WINDOW_S = 600.0
BURST = 25
REFILL_S = 300.0
WRITE_TRIES_MAX = 6
WRITE_BACKOFF = Backoff(initial_s=0.5, max_s=10.0)
MESSAGE_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    reference: Object
    type: str
    reason: str
    message: str
    at: datetime


@dataclass(slots=True)
class _Similar:
    """Events alike but for their message, since `since_s`."""

    since_s: float
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float


@dataclass(slots=True)
class _Written:
    name: str
    namespace: str
    count: int
    first: str


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

    def __init__(self, client: Client, *, component: str, host: str = "", clock: Clock | None = None) -> None:
        self._client = client
        self._component = component
        self._host = host
        self._clock = clock or WallClock()
        self._queue: asyncio.Queue[_Said] = asyncio.Queue(maxsize=QUEUE_MAX)
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._written: OrderedDict[tuple[str, ...], _Written] = OrderedDict()
        self._last_stamp = 0
        self.dropped = 0
        """Events lost to the full queue or the spam limit."""

    def event(self, obj: Object, type: str, reason: str, message: str) -> None:
        """Tell about `obj` (an object, or a reference to one). Returns at once; never raises."""
        if len(message.encode()) > MESSAGE_BYTES_MAX:
            message = message.encode()[: MESSAGE_BYTES_MAX - 3].decode(errors="ignore") + "..."
        reference = reference_to(obj)
        said = _Said(reference=reference, type=type, reason=reason, message=message, at=self._clock.now())
        try:
            self._queue.put_nowait(said)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            said = await self._queue.get()
            aggregated = self._aggregate(said)
            if aggregated is None:
                self.dropped += 1
                continue
            try:
                await self._write(*aggregated)
            except (ApiError, ConnectionError, TimeoutError, OSError) as error:
                _log.warning("event not written", reason=said.reason, error=repr(error))

    def _aggregate(self, said: _Said) -> tuple[tuple[str, ...], _Said] | None:
        """Return the identity under which `said` is counted and what to write, None to drop it."""
        now_s = self._clock.monotonic_s()
        reference = said.reference
        who = (
            reference.get("kind", ""),
            reference.get("namespace", ""),
            reference.get("name", ""),
            reference.get("uid", ""),
            reference.get("apiVersion", ""),
            reference.get("fieldPath", ""),
        )
        kind = (*who, said.type, said.reason)
        similar = self._similar.get(kind)
        if similar is None or now_s - similar.since_s > SIMILAR_WINDOW_S:
            similar = self._similar[kind] = _Similar(now_s)
        self._similar.move_to_end(kind)
        _trim(self._similar)
        similar.messages.add(said.message)
        identity: tuple[str, ...] = (*kind, said.message)
        if len(similar.messages) >= SIMILAR_MAX:
            similar.messages.pop()  # stays full without growing
            identity = kind
            message = "(combined from similar events): " + said.message
            said = _Said(reference=reference, type=said.type, reason=said.reason, message=message, at=said.at)
        if not self._allowed("/".join(who), now_s):
            return None
        return identity, said

    def _allowed(self, who: str, now_s: float) -> bool:
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(BURST, now_s)
        self._buckets.move_to_end(who)
        _trim(self._buckets)
        bucket.tokens = min(BURST, bucket.tokens + (now_s - bucket.filled_s) / REFILL_S)
        bucket.filled_s = now_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    async def _write(self, identity: tuple[str, ...], said: _Said) -> None:
        for attempt in range(1, WRITE_TRIES_MAX + 1):
            try:
                await self._write_once(identity, said)
                return
            except ApiError as error:
                if error.code < 500 and error.code != 429:
                    # The namespace is going, or the event is refused: trying again changes nothing.
                    _log.debug("event refused", reason=said.reason, error=error.message)
                    return
                if attempt == WRITE_TRIES_MAX:
                    raise
            except (ConnectionError, TimeoutError, OSError):
                if attempt == WRITE_TRIES_MAX:
                    raise
            await self._clock.sleep(WRITE_BACKOFF.delay_s(attempt))

    async def _write_once(self, identity: tuple[str, ...], said: _Said) -> None:
        at = rfc3339(said.at)
        written = self._written.get(identity)
        if written is not None:
            patch = {"count": written.count + 1, "lastTimestamp": at, "message": said.message}
            try:
                await self._client.patch(EVENTS, written.name, patch, written.namespace, type="strategic")
            except NotFound:
                del self._written[identity]  # expired, or deleted: tell it anew
            else:
                written.count += 1
                self._written.move_to_end(identity)
                return
        event = self._event(said, at)
        await self._client.create(EVENTS, event)
        metadata = event["metadata"]
        self._written[identity] = _Written(metadata["name"], metadata["namespace"], 1, at)
        _trim(self._written)

    def _stamp(self, at: datetime) -> int:
        """Return the moment in nanoseconds, a little later where it would name two events alike."""
        self._last_stamp = max(self._last_stamp + 1, round(at.timestamp() * 1_000_000) * 1000)
        return self._last_stamp

    def _event(self, said: _Said, at: str) -> Object:
        reference = said.reference
        # Upstream's name: the object's, a dot, and the time in nanoseconds as hex.
        name = f"{reference.get('name', '')}.{self._stamp(said.at):x}"
        source = {"component": self._component}
        if self._host:
            source["host"] = self._host
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": reference.get("namespace") or "default"},
            "involvedObject": reference,
            "reason": said.reason,
            "message": said.message,
            "source": source,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "type": said.type,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }


K = TypeVar("K")
V = TypeVar("V")


def _trim(cache: OrderedDict[K, V]) -> None:
    while len(cache) > REMEMBERED_MAX:
        cache.popitem(last=False)
