"""Leader election: of several processes of one component, one works.

A Lease names the holder. The holder renews it; a candidate takes it over when it has not changed for
`lease_s` by the candidate's own clock (clocks of different machines are never compared). A holder that
cannot renew for `renew_deadline_s` stops working before anyone else may begin.

A renewal is one write, at the version that was seen last; only when that fails is the Lease read.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from podium.base.clock import Clock, WallClock, rfc3339_micro
from podium.base.log import Log
from podium.base.metrics import Registry
from podium.client.client import Client
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.coordination.leases import LEASES

_log = Log("podium.leader")

LEASE_S = 15.0
RENEW_DEADLINE_S = 10.0
RETRY_S = 2.0
JITTER_FACTOR = 1.2
"""How much longer than `retry_s` a candidate may wait before it tries again."""
HEALTHY_S = 20.0
"""How long past its lease a holder that cannot renew still counts as healthy."""

_IMPATIENCE_S = 0.05
"""How often work that goes on without a lease is told to end."""


class LeaderMetrics:
    """Upstream's figures of elections; one for each program."""

    def __init__(self, registry: Registry) -> None:
        self.leading = registry.gauge(
            "leader_election_master_status", "Whether this process holds the lease of that name.", "name"
        )
        self.slow = registry.counter(
            "leader_election_slowpath_total", "Renewals that had to read the lease first.", "name"
        )


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
        metrics: LeaderMetrics | None = None,
    ) -> None:
        """`on_event` is told the Lease and `IDENTITY became leader` (for the component's recorder).

        Raises ValueError where a holder could not stop before the next one begins.
        """
        check_times(lease_s, renew_deadline_s, retry_s)
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
        metrics = metrics or LeaderMetrics(Registry())
        self._status = metrics.leading.labels(name)
        self._slow = metrics.slow.labels(name)

    def check(self) -> str:
        """Return what is wrong: that the lease is ours, has lapsed, and was not renewed; or ""."""
        late_s = self._clock.monotonic_s() - self._seen_s - self._lease_s
        if self.leading and late_s > HEALTHY_S:
            return f"failed election to renew leadership on lease {self._name}"
        return ""

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait for leadership, then run `lead` while holding it.

        Returns when `lead` returns. Raises LeadershipLost after cancelling `lead` when the lease could not
        be renewed: end the process then. On every way out the lease is given back, if it is still ours.
        """
        _log.info("attempting to acquire leader lease", lease=f"{self._namespace}/{self._name}")
        await self._acquire()
        self.leading = True
        self._status.set(1)
        _log.info("became leader", lease=f"{self._namespace}/{self._name}", identity=self._identity)
        self._tell("became leader")
        work: asyncio.Future[None] = asyncio.ensure_future(_as_coroutine(lead))
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait((work, renewing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leading = False
            self._status.set(0)
            results = await self._end(work, renewing)
            self._tell("stopped leading")
            if not isinstance(results[1], LeadershipLost):
                await self._release()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result

    @staticmethod
    async def _end(
        work: asyncio.Future[None], renewing: asyncio.Future[None]
    ) -> Sequence[BaseException | None]:
        """End the work, and only then the renewing: work that takes its time to end is still led."""
        work.cancel()
        await asyncio.wait((work, renewing), return_when=asyncio.FIRST_COMPLETED)
        while not work.done():  # the lease was lost: no more patience
            work.cancel()
            await asyncio.wait((work,), timeout=_IMPATIENCE_S)
        renewing.cancel()
        return await asyncio.gather(work, renewing, return_exceptions=True)

    def _tell(self, message: str) -> None:
        if self._on_event is not None and self._seen is not None:
            self._on_event(self._seen, f"{self._identity} {message}")

    async def _acquire(self) -> None:
        while not await self._attempt():
            await self._clock.sleep(self._retry_s * random.uniform(1.0, 1.0 + JITTER_FACTOR))

    async def _renew(self) -> None:
        renewed_s = self._seen_s
        while True:
            await self._clock.sleep(self._retry_s)
            # From before the attempt: others may have seen the renewal long before we get the answer.
            began_s = self._clock.monotonic_s()
            left_s = self._renew_deadline_s - (began_s - renewed_s)
            if left_s > 0 and await self._within(left_s):
                renewed_s = began_s
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
        if self.leading and self._seen is not None:
            renewed = {**self._seen_spec, "leaseDurationSeconds": int(self._lease_s), "renewTime": now}
            try:
                self._observe(await self._client.update(LEASES, {**self._seen, "spec": renewed}))
                return True
            except ApiError as error:
                _log.debug("lease not renewed at once", lease=self._name, error=error.message)
            self._slow.inc()
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


def check_times(lease_s: float, renew_deadline_s: float, retry_s: float) -> None:
    """Raise ValueError with upstream's words where these times do not go together."""
    if lease_s <= renew_deadline_s:
        raise ValueError("leaseDuration must be greater than renewDeadline")
    if renew_deadline_s <= retry_s * JITTER_FACTOR:
        raise ValueError("renewDeadline must be greater than retryPeriod*JitterFactor")
    if retry_s <= 0:
        raise ValueError("retryPeriod must be greater than zero")


async def _as_coroutine(lead: Callable[[], Awaitable[None]]) -> None:
    await lead()
