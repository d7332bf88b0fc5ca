"""A webhook that a kubeconfig describes: who authorizes by one asks here, again when it could not answer.

Upstream: apiserver/pkg/util/webhook.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from time import perf_counter
from urllib.parse import urlsplit

from podium.apiserver.webhook_client import CallFailed, exchange, reason
from podium.base.clock import Clock
from podium.base.http.client import HttpTransport
from podium.base.tasks import in_task
from podium.client.kubeconfig import Connection
from podium.machinery import durations

ATTEMPTS = 5
FIRST_PAUSE_S = 0.5
PAUSE_FACTOR = 1.5
JITTER = 0.2
_RETRIED = (429, 500, 504)

Called = Callable[[str, float], None]
"""What came of a call (success, timeout, error, canceled), and the seconds it took."""


class TimedOut(CallFailed):
    """The webhook has not answered in time; it is not asked again."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 0)


class KubeconfigWebhook:
    """One webhook with its kept connections. `called` hears of each attempt."""

    def __init__(
        self, connection: Connection, *, timeout_s: float, clock: Clock, called: Called = lambda *_: None
    ) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self._clock = clock
        self._called = called
        self._transport: HttpTransport | None = None
        # The exact path of the kubeconfig is asked: it is the transport's prefix.
        has_path = urlsplit(connection.server).path.strip("/")
        self._target = ("" if has_path else "/") + f"?timeout={durations.shown(timeout_s)}"

    async def post(self, body: bytes) -> bytes:
        """Return the answer to `body`. Raises `CallFailed` when there is none after several attempts."""
        pause_s = FIRST_PAUSE_S
        for attempt in range(ATTEMPTS):
            try:
                return await self._measured(body)
            except CallFailed as error:
                if attempt == ATTEMPTS - 1 or error.code not in _RETRIED:
                    raise
            await self._clock.sleep(pause_s * (1 + JITTER * random.random()))
            pause_s *= PAUSE_FACTOR
        raise AssertionError("not reached")

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()

    async def _measured(self, body: bytes) -> bytes:
        started, result = perf_counter(), "error"
        try:
            answer = await self._once(body)
            result = "success"
            return answer
        except CallFailed as error:
            if isinstance(error, TimedOut) or error.code == 504:
                result = "timeout"
            raise
        except asyncio.CancelledError:
            result = "canceled"
            raise
        finally:
            self._called(result, perf_counter() - started)

    async def _once(self, body: bytes) -> bytes:
        if self._transport is None:
            self._transport = self._connection.transport()
        url = self._connection.server
        shown = f'Post "{url.rstrip("/")}{self._target}"'
        await in_task()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await exchange(self._transport, self._target, body)
        except TimeoutError:
            raise TimedOut(f"{shown}: context deadline exceeded") from None
        except ConnectionError as error:
            raise CallFailed(f"{shown}: {reason(error, url)}", 0) from None
