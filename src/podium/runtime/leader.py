"""Leader election: of several processes of one component, one works.

A Lease names the holder. The holder renews it; a candidate takes it over when it has not changed for
`lease_s` by the candidate's own clock (clocks of different machines are never compared). A holder that
cannot renew for `renew_deadline_s` stops working before anyone else may begin.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from podium.base.clock import Clock, WallClock, rfc3339_micro
from podium.base.log import Log
from podium.client.client import Client
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.coordination.leases import LEASES

_log = Log("podium.leader")

LEASE_S = 15.0
RENEW_DEADLINE_S = 10.0
RETRY_S = 2.0


class LeadershipLost(Exception):
    """The lease could not be renewed in time; the work has been cancelled."""


class LeaderElector:
    """One candidate for one Lease."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        lease_s: float = LEASE_S,
        renew_deadline_s: float = RENEW_DEADLINE_S,
        retry_s: float = RETRY_S,
        clock: Clock | None = None,
        on_event: Callable[[Object, str], None] | None = None,
    ) -> None:
        """`on_event` is told the Lease and `IDENTITY became leader` (for the component's recorder)."""
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._lease_s = lease_s
        self._renew_deadline_s = renew_deadline_s
        self._retry_s = retry_s
        self._clock = clock or WallClock()
        self._on_event = on_event
        self._seen: Object | None = None
        self._seen_spec: Object = {}
        self._seen_s = 0.0
        self.leading = False

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for leadership, then run `lead` while holding it.

        Returns when `lead` returns. Raises LeadershipLost after cancelling `lead` when the lease could not
        be renewed: end the process then. On every way out the lease is given back, if it is still ours.
        """
        await self._acquire()
        self.leading = True
        _log.info("became leader", lease=f"{self._namespace}/{self._name}", identity=self._identity)
        if self._on_event is not None and self._seen is not None:
            self._on_event(self._seen, f"{self._identity} became leader")
        work: asyncio.Future[None] = asyncio.ensure_future(_as_coroutine(lead))
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait((work, renewing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leading = False
            for task in (work, renewing):
                task.cancel()
            results = await asyncio.gather(work, renewing, return_exceptions=True)
            if not isinstance(results[1], LeadershipLost):
                await self._release()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def _acquire(self) -> None:
        while not await self._attempt():
            await self._clock.sleep(self._retry_s * random.uniform(1.0, 1.2))

    async def _renew(self) -> None:
        renewed_s = self._clock.monotonic_s()
        while True:
            await self._clock.sleep(self._retry_s)
            left_s = self._renew_deadline_s - (self._clock.monotonic_s() - renewed_s)
            if left_s > 0 and await self._within(left_s):
                renewed_s = self._clock.monotonic_s()
            elif self._clock.monotonic_s() - renewed_s >= self._renew_deadline_s:
                _log.error("leadership lost", lease=f"{self._namespace}/{self._name}")
                raise LeadershipLost(f"{self._namespace}/{self._name}")

    async def _within(self, seconds: float) -> bool:
        """Attempt to renew, giving up after `seconds` of this clock."""
        attempt = asyncio.ensure_future(self._attempt())
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((attempt, timer), return_when=asyncio.FIRST_COMPLETED)
            return attempt.done() and attempt.result()
        finally:
            attempt.cancel()
            timer.cancel()

    async def _attempt(self) -> bool:
        """Take or renew the lease; return whether it is ours now."""
        try:
            return await self._take_or_renew()
        except (ApiError, ConnectionError, TimeoutError, OSError) as error:
            _log.debug("lease not taken", lease=self._name, error=repr(error))
            return False

    async def _take_or_renew(self) -> bool:
        now = rfc3339_micro(self._clock.now())
        try:
            lease = await self._client.get(LEASES, self._name, self._namespace)
        except NotFound:
            self._observe(await self._client.create(LEASES, self._new_lease(now)))
            return True
        if lease.get("spec") != self._seen_spec:
            self._observe(lease)
        spec: Object = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        lapses_s = float(spec.get("leaseDurationSeconds") or self._lease_s)
        if holder and holder != self._identity and self._clock.monotonic_s() < self._seen_s + lapses_s:
            return False
        taken = {**spec, "leaseDurationSeconds": int(self._lease_s), "renewTime": now}
        if holder != self._identity:
            taken["holderIdentity"] = self._identity
            taken["acquireTime"] = now
            taken["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        # A PUT with the version we saw: of two candidates one gets a conflict.
        self._observe(await self._client.update(LEASES, {**lease, "spec": taken}))
        return True

    def _observe(self, lease: Object) -> None:
        self._seen = lease
        self._seen_spec = lease.get("spec") or {}
        self._seen_s = self._clock.monotonic_s()

    def _new_lease(self, now: str) -> Object:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._lease_s),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    async def _release(self) -> None:
        """Let the next candidate begin at once instead of after `lease_s`."""
        if self._seen is None or self._seen_spec.get("holderIdentity") != self._identity:
            return
        now = rfc3339_micro(self._clock.now())
        spec = {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": self._seen_spec.get("leaseTransitions", 0),
        }
        try:
            async with asyncio.timeout(RETRY_S):
                await self._client.update(LEASES, {**self._seen, "spec": spec})
        except (ApiError, ConnectionError, TimeoutError, OSError) as error:
            _log.debug("lease not released", lease=self._name, error=repr(error))


async def _as_coroutine(lead: Callable[[], Awaitable[None]]) -> None:
    await lead()
