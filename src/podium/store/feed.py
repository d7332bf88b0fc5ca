"""The live end of the change feed: committed changes, fanned out to readers without ever waiting for one.

Each reader has a bounded queue. Overflow rule: when a queue is full, the reader's subscription ends after
what is queued; the engine then reads on from disk. Used by store engines, inside one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from podium.store.protocol import Change, StoreError

QUEUE_CHANGES_MAX = 1024
QUEUE_BYTES_MAX = 4 * 1024 * 1024


class Subscription:
    """One reader's queue of changes under `prefix` above `after_revision`."""

    def __init__(self, prefix: str, after_revision: int, changes_max: int, bytes_max: int) -> None:
        self.prefix = prefix
        self.after_revision = after_revision
        self.ended = False
        """True once a change was left out: what comes after the queue has to be read elsewhere."""
        self._failure = ""
        self._changes_max = changes_max
        self._bytes_max = bytes_max
        self._queue: list[Change] = []
        self._queued_bytes = 0
        self._waiter: asyncio.Future[None] | None = None

    def offer(self, change: Change) -> None:
        """Queue `change`, or end the subscription when there is no room for it."""
        if self.ended or change.revision <= self.after_revision:
            return
        size = len(change.record.value) if change.record else 0
        full = len(self._queue) >= self._changes_max or self._queued_bytes + size > self._bytes_max
        # An empty queue takes any one change: a single value above the limit must still get through.
        if full and self._queue:
            self.ended = True
            return
        self._queue.append(change)
        self._queued_bytes += size
        self._wake()

    def fail(self, reason: str) -> None:
        """Make `take` raise `StoreError`."""
        self._failure = reason
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def take(self) -> Sequence[Change]:
        """Return what is queued, waiting for it; nothing at all only when the subscription has ended."""
        while not self._queue and not self.ended and not self._failure:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._failure:
            raise StoreError(self._failure)
        taken, self._queue, self._queued_bytes = self._queue, [], 0
        return taken


class Feed:
    """Hands every published change to the subscriptions whose prefix it has."""

    def __init__(self, *, changes_max: int = QUEUE_CHANGES_MAX, bytes_max: int = QUEUE_BYTES_MAX) -> None:
        self._changes_max = changes_max
        self._bytes_max = bytes_max
        self._subscriptions: set[Subscription] = set()

    def subscribe(self, prefix: str, *, after_revision: int) -> Subscription:
        """Return a queue that receives every change published from now on with a higher revision."""
        subscription = Subscription(prefix, after_revision, self._changes_max, self._bytes_max)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)

    def publish(self, changes: Sequence[Change]) -> None:
        """Offer `changes`, oldest first, to everyone. Never waits."""
        for change in changes:
            key = change.key
            for subscription in self._subscriptions:
                if key.startswith(subscription.prefix):
                    subscription.offer(change)

    def fail(self, reason: str) -> None:
        """End every subscription with a `StoreError`."""
        for subscription in self._subscriptions:
            subscription.fail(reason)
