"""The webhook backend: batches are posted, as an EventList, to where a kubeconfig says.

Whatever goes wrong, the post is tried again, five times in all with growing pauses; then its events are lost
and counted. Upstream: apiserver/plugin/pkg/audit/webhook.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from urllib.parse import urlsplit

from podium.apiserver.audit.backend import Losses
from podium.apiserver.audit.event import Event, event_list
from podium.apiserver.audit.pauses import pause
from podium.base.clock import Clock
from podium.base.http.client import HttpTransport
from podium.base.tasks import in_task
from podium.client.kubeconfig import Connection

PLUGIN = "webhook"
ATTEMPTS = 5
FACTOR = 1.5
JITTER = 0.2
TIMEOUT_S = 30.0
LAST_TIMEOUT_S = 5.0
"""While the server ends, so long for what is posted then."""
_HEADERS = [("content-type", "application/json"), ("accept", "application/json, */*")]
_QUERY = "?timeout=30s"


class Webhook:
    """Posts to the server of one connection."""

    def __init__(
        self,
        connection: Connection,
        *,
        initial_backoff_s: float,
        losses: Losses,
        clock: Clock,
        ending: asyncio.Event,
    ) -> None:
        """`ending` is set when the server ends: nothing is tried again after that."""
        self._connection = connection
        self._target = ("" if urlsplit(connection.server).path.strip("/") else "/") + _QUERY
        self._initial_backoff_s = initial_backoff_s
        self._losses = losses
        self._clock = clock
        self._ending = ending
        self._transport: HttpTransport | None = None

    async def process(self, events: Sequence[Event]) -> bool:
        body = event_list(list(events))
        await in_task()
        pause_s, why = self._initial_backoff_s, ""
        for attempt in range(ATTEMPTS):
            if attempt:
                if self._ending.is_set():
                    break
                await pause(self._clock, pause_s * (1 + random.random() * JITTER), self._ending)
                pause_s *= FACTOR
            why = await self._post(body)
            if not why:
                return True
        self._losses.report(PLUGIN, why, events)
        return False

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()

    async def _post(self, body: bytes) -> str:
        """Post once; return what went wrong, "" when it was taken."""
        if self._transport is None:
            self._transport = self._connection.transport()
        limit_s = LAST_TIMEOUT_S if self._ending.is_set() else TIMEOUT_S
        try:
            async with (
                asyncio.timeout(limit_s),
                self._transport.request("POST", self._target, headers=_HEADERS, body=body) as response,
            ):
                await response.read()
                taken = 200 <= response.status < 300
                return "" if taken else f"the webhook answered {response.status}"
        except TimeoutError:
            return "context deadline exceeded"
        except (ConnectionError, OSError) as error:
            return str(error) or type(error).__name__
