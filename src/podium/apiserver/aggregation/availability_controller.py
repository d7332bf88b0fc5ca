"""Keeps the condition Available of APIServices true: after every change, and every half minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from podium.apiserver.aggregation.api_services import ApiServices
from podium.apiserver.aggregation.ask import ask
from podium.apiserver.aggregation.availability import (
    LOCAL,
    PASSED,
    Verdict,
    failed_discovery,
    judge,
)
from podium.apiserver.aggregation.backends import Backends, Misconfigured
from podium.apiserver.aggregation.registration import Registration
from podium.apiserver.streaming.service_resolver import ServiceResolver, Unresolvable
from podium.base.backoff import Backoff
from podium.base.clock import Clock
from podium.base.log import Log
from podium.machinery.errors import ApiError
from podium.runtime.metrics import QueueMetrics
from podium.runtime.workqueue import WorkQueue

WORKERS = 4
RESYNC_S = 30.0
FURTHER_ATTEMPTS = 4
"""One of several endpoints may be gone while the others answer."""
_BACKOFF = Backoff(initial_s=0.005, max_s=RESYNC_S)
_log = Log("podium.apiserver.aggregation")


class AvailabilityController:
    """Looks at one APIService at a time, named by `add`."""

    def __init__(
        self,
        api_services: ApiServices,
        resolver: ServiceResolver,
        backends: Backends,
        registration_of: Callable[[str], Registration | None],
        clock: Clock,
        queues: QueueMetrics,
    ) -> None:
        self._api_services = api_services
        self._resolver = resolver
        self._backends = backends
        self._registration_of = registration_of
        self._queue: WorkQueue[str] = WorkQueue(
            clock=clock, backoff=_BACKOFF, name="RemoteAvailabilityController", metrics=queues
        )

    def add(self, name: str) -> None:
        self._queue.add(name)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as workers:
            for _ in range(WORKERS):
                workers.create_task(self._work())

    async def _work(self) -> None:
        while True:
            name = await self._queue.get()
            try:
                await self._look_at(name)
            except ApiError as error:
                _log.error("an APIService could not be judged", name=name, error=str(error))
                self._queue.add_rate_limited(name)
            except Exception:
                _log.exception("an APIService could not be judged", name=name)
                self._queue.add_rate_limited(name)
            finally:
                self._queue.done(name)

    async def _look_at(self, name: str) -> None:
        if self._api_services.get(name) is None:
            self._queue.forget(name)
            return
        wanted = self._registration_of(name)
        if wanted is None:
            await self._api_services.judge(name, LOCAL)
            return
        self._backends.look_again()
        slices = self._resolver.slices(wanted.namespace, wanted.service)
        verdict = judge(wanted, self._resolver.service(wanted.namespace, wanted.service), slices)
        asked = verdict is None
        if verdict is None:
            verdict = await self._ask(wanted)
        await self._api_services.judge(name, verdict)
        if asked and verdict is not PASSED:
            self._queue.add_rate_limited(name)
            return
        self._queue.forget(name)
        self._queue.add_after(name, RESYNC_S)

    async def _ask(self, wanted: Registration) -> Verdict:
        """Ask the server for its discovery document: all must fail before it counts as gone."""
        failure = await self._attempt(wanted)
        if failure:
            attempts = [asyncio.ensure_future(self._attempt(wanted)) for _ in range(FURTHER_ATTEMPTS)]
            try:
                for attempt in asyncio.as_completed(attempts):
                    failure = await attempt
                    if not failure:
                        break
            finally:
                for one in attempts:
                    one.cancel()
        return failed_discovery(failure) if failure else PASSED

    async def _attempt(self, wanted: Registration) -> str:
        """Return what went wrong, "" when nothing did."""
        try:
            transport = self._backends.transport(wanted)
        except (Unresolvable, Misconfigured) as error:
            return str(error)
        url = transport.url + wanted.path
        try:
            answer = await ask(transport, wanted.path, read=False)
        except TimeoutError:
            transport.close_idle()
            return f'failing or missing response from {url}: Get "{url}": context deadline exceeded'
        except ConnectionError as error:
            transport.close_idle()
            return f'failing or missing response from {url}: Get "{url}": {error}'
        if not 200 <= answer.status < 300:
            return f"failing or missing response from {url}: bad status from {url}: {answer.status}"
        return ""
