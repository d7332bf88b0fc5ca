"""What has been said of a token a moment ago: for authenticators that compute much, or ask others.

Requests with the same token that come while it is being looked at wait for the same answer. Upstream:
apiserver/pkg/authentication/token/cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from podium.apiserver.authn.bearer import Identified, TokenAuthenticator
from podium.base.clock import Clock
from podium.base.metrics import Registry
from podium.base.tasks import in_task
from podium.machinery.errors import Unauthorized

REMEMBERED_MAX = 8192
LOOKUP_TIMEOUT_S = 30.0

LATENCY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

Verdict = Identified | Unauthorized | None


class TokenCacheMetrics:
    """The families of one server."""

    def __init__(self, registry: Registry) -> None:
        cache = "authentication_token_cache"
        requests = registry.counter(
            f"{cache}_request_total", "Tokens looked up in the cache, by whether they were there.", "status"
        )
        time = registry.histogram(
            f"{cache}_request_duration_seconds", "Time to say whose a token is.", LATENCY_BOUNDS, "status"
        )
        fetches = registry.counter(
            f"{cache}_fetch_total", "Tokens that authenticators were asked about.", "status"
        )
        active = registry.gauge(
            f"{cache}_active_fetch_count", "Questions to authenticators, and requests that wait.", "status"
        )
        self.hit, self.miss = requests.labels("hit"), requests.labels("miss")
        self.hit_time, self.miss_time = time.labels("hit"), time.labels("miss")
        self.ok, self.error = fetches.labels("ok"), fetches.labels("error")
        self.blocked, self.in_flight = active.labels("blocked"), active.labels("in_flight")


@dataclass(frozen=True, slots=True)
class _Remembered:
    verdict: Verdict
    until_s: float


class CachedTokenAuthenticator:
    """Remembers what another authenticator says."""

    def __init__(
        self,
        authenticator: TokenAuthenticator,
        *,
        success_ttl_s: float,
        failure_ttl_s: float,
        clock: Clock,
        metrics: TokenCacheMetrics | None = None,
        errors: bool = True,
    ) -> None:
        """`errors`: failures for a reason are remembered like other failures. 0 s: nothing is."""
        self._authenticator = authenticator
        self._success_ttl_s = success_ttl_s
        self._failure_ttl_s = failure_ttl_s
        self._clock = clock
        self._metrics = metrics or TokenCacheMetrics(Registry())
        self._errors = errors
        # Keyed by a secret: what clients send must not choose its place, and no token is kept in memory.
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, _Remembered] = {}
        self._lookups: dict[bytes, asyncio.Task[Verdict]] = {}

    def recall(self, token: str, audiences: Sequence[str]) -> Identified | None:
        """Return whom the token names when that is remembered."""
        verdict, found = self._look_up(self._digest(token, audiences))
        if not found or not isinstance(verdict, Identified):
            return None
        self._metrics.hit.value += 1
        return verdict

    async def identify(self, token: str, audiences: Sequence[str]) -> Identified | None:
        started = perf_counter()
        key = self._digest(token, audiences)
        verdict, found = self._look_up(key)
        metrics = self._metrics
        if found:
            metrics.hit.value += 1
            metrics.hit_time.observe(perf_counter() - started)
        else:
            metrics.blocked.value += 1
            try:
                await in_task()
                verdict = await asyncio.shield(self._lookup(key, token, audiences))
            finally:
                metrics.blocked.value -= 1
                metrics.miss.value += 1
                metrics.miss_time.observe(perf_counter() - started)
        if isinstance(verdict, Unauthorized):
            raise verdict.with_traceback(None)
        return verdict

    def forget(self) -> None:
        """Forget everything: who answers has changed."""
        self._remembered.clear()
        self._lookups.clear()

    def _look_up(self, key: bytes) -> tuple[Verdict, bool]:
        remembered = self._remembered.get(key)
        if remembered is None:
            return None, False
        if remembered.until_s <= self._clock.monotonic_s():
            del self._remembered[key]
            return None, False
        return remembered.verdict, True

    def _lookup(self, key: bytes, token: str, audiences: Sequence[str]) -> asyncio.Task[Verdict]:
        running = self._lookups.get(key)
        if running is None:
            running = self._lookups[key] = asyncio.create_task(
                self._ask(key, token, audiences), name="apiserver-token"
            )
        return running

    async def _ask(self, key: bytes, token: str, audiences: Sequence[str]) -> Verdict:
        own = asyncio.current_task()
        metrics = self._metrics
        metrics.in_flight.value += 1
        verdict: Verdict
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                verdict = await self._authenticator.identify(token, audiences)
            metrics.ok.value += 1
        except (Unauthorized, TimeoutError) as error:
            metrics.error.value += 1
            verdict = error if isinstance(error, Unauthorized) else Unauthorized()
        finally:
            metrics.in_flight.value -= 1
            # `forget` may have let somebody else begin in the meantime; then this answer is not kept.
            current = self._lookups.get(key) is own
            if current:
                del self._lookups[key]
        if current:
            self._remember(key, verdict)
        return verdict

    def _remember(self, key: bytes, verdict: Verdict) -> None:
        if isinstance(verdict, Unauthorized) and not self._errors:
            return
        ttl_s = self._success_ttl_s if isinstance(verdict, Identified) else self._failure_ttl_s
        if ttl_s <= 0:
            return
        while len(self._remembered) >= REMEMBERED_MAX:
            del self._remembered[next(iter(self._remembered))]
        until_s = self._clock.monotonic_s() + ttl_s
        self._remembered.pop(key, None)
        self._remembered[key] = _Remembered(verdict, until_s)

    def _digest(self, token: str, audiences: Sequence[str]) -> bytes:
        # Lengths keep one list of texts from reading like another.
        parts = [token, *audiences]
        data = b"".join(b"%d:%s" % (len(raw), raw) for raw in (part.encode() for part in parts))
        return hashlib.blake2b(data, key=self._key, digest_size=32).digest()
