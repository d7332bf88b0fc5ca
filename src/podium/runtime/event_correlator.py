"""What becomes of an event that a component tells: written, counted with others, or dropped. Pure.

In three steps, as upstream's correlator (client-go, tools/record):

  1. aggregate: from the tenth message on that only differs from the others of one object, type and reason,
     each no later than ten minutes after the one before, all further ones are one event,
     `(combined from similar events): ...`;
  2. count: what was told before is the same event once more;
  3. limit: one object gets a burst of 25 events of a type, then one each five minutes. What is dropped here
     has been counted: the next one that is written says how often it really happened.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from podium.base.clock import rfc3339
from podium.base.ids import new_uid
from podium.machinery.errors import Object

REMEMBERED_MAX = 4096
SIMILAR_MAX = 10
SIMILAR_WINDOW_S = 600.0
BURST = 25
REFILL_S = 300.0
NAME_MAX = 253
COMBINED = "(combined from similar events): "


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What was told, and when."""

    reference: Object
    type: str
    reason: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event of the API: where it is, and how often it has happened."""

    name: str
    namespace: str
    count: int
    first: str
    said: Said
    combined: bool = False


@dataclass(slots=True)
class _Similar:
    """Events alike but for their message, the last of them at `last_s`."""

    last_s: float
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_s: float


class Correlator:
    """Remembers what one component has told."""

    def __init__(self) -> None:
        self._similar: OrderedDict[tuple[str, ...], _Similar] = OrderedDict()
        self._told: OrderedDict[tuple[str, ...], Told] = OrderedDict()
        self._buckets: OrderedDict[tuple[str, ...], _Bucket] = OrderedDict()
        self._last_stamp = 0

    def correlate(self, said: Said, now_s: float) -> Told | None:
        """Return the event to write (create it when its count is 1, else patch it), None to drop it."""
        reference = said.reference
        who = tuple(reference.get(field, "") for field in ("kind", "namespace", "name", "uid", "apiVersion"))
        kind = (*who, said.type, said.reason)
        combined = self._is_one_of_many(kind, said.message, now_s)
        identity = kind if combined else (*kind, reference.get("fieldPath", ""), said.message)
        if combined:
            said = replace(said, message=COMBINED + said.message)
        told = self._counted(identity, said, combined=combined)
        return told if self._allowed((*who, said.type), now_s) else None

    def _is_one_of_many(self, kind: tuple[str, ...], message: str, now_s: float) -> bool:
        similar = self._similar.get(kind)
        if similar is None or now_s - similar.last_s > SIMILAR_WINDOW_S:
            similar = self._similar[kind] = _Similar(now_s)
        similar.last_s = now_s
        _used(self._similar, kind)
        similar.messages.add(message)
        if len(similar.messages) < SIMILAR_MAX:
            return False
        similar.messages.pop()  # stays full without growing
        return True

    def _counted(self, identity: tuple[str, ...], said: Said, *, combined: bool) -> Told:
        before = self._told.get(identity)
        if before is not None:
            told = replace(before, count=before.count + 1, said=said)
        else:
            told = Told(
                name=self._name(said),
                namespace=said.reference.get("namespace") or "default",
                count=1,
                first=rfc3339(said.at),
                said=said,
                combined=combined,
            )
        self._told[identity] = told
        _used(self._told, identity)
        return told

    def _name(self, said: Said) -> str:
        """Return upstream's name: the object's, a dot, and the time in nanoseconds as hex."""
        # A little later where it would name two events alike.
        self._last_stamp = max(self._last_stamp + 1, round(said.at.timestamp() * 1_000_000) * 1000)
        name = f"{said.reference.get('name', '')}.{self._last_stamp:x}"
        return name if len(name) <= NAME_MAX else new_uid()

    def _allowed(self, who: tuple[str, ...], now_s: float) -> bool:
        bucket = self._buckets.get(who)
        if bucket is None:
            bucket = self._buckets[who] = _Bucket(BURST, now_s)
        _used(self._buckets, who)
        bucket.tokens = min(BURST, bucket.tokens + (now_s - bucket.filled_s) / REFILL_S)
        bucket.filled_s = now_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


K = TypeVar("K")
V = TypeVar("V")


def _used(cache: OrderedDict[K, V], key: K) -> None:
    """Note that `key` was used last, and forget what was not used for longest."""
    cache.move_to_end(key)
    while len(cache) > REMEMBERED_MAX:
        cache.popitem(last=False)
