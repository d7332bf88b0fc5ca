"""Plain limits on the requests being served at a time, where priority and fairness are off.

Upstream: server/filters/maxinflight.go. One limit for reads, one for writes, none for what may last long and
for members of system:masters.
"""

from __future__ import annotations

from podium.apiserver.chain import MASTERS, RequestInfo, User
from podium.apiserver.flowcontrol.limiter import (
    AtOnce,
    is_long_running,
    is_mutating,
    release_when_sent,
    too_many_requests,
)
from podium.apiserver.state_metrics import InFlight
from podium.base.http.message import Request, Response


class MaxInFlight:
    """Counts, and refuses what comes above the limits; 0: no limit."""

    headers: tuple[tuple[str, str], ...] = ()

    def __init__(self, *, reading_max: int, mutating_max: int, in_flight: InFlight) -> None:
        self._limits = {False: reading_max, True: mutating_max}
        self.in_flight = in_flight

    def at_once(self, user: User, info: RequestInfo, now_s: float) -> AtOnce | None:
        return None if self.is_full(mutating=False) else self

    def read_at_once(self, took_s: float) -> None: ...

    def is_full(self, *, mutating: bool) -> bool:
        limit = self._limits[mutating]
        return bool(limit) and self.in_flight.executing[mutating] >= limit

    def arrive(self, request: Request, info: RequestInfo, user: User, timeout_s: float) -> PlainSeat | None:
        if is_long_running(info):
            return None
        mutating = is_mutating(info)
        if self.is_full(mutating=mutating):
            # They are let through without being counted: they should always get an answer.
            return None if MASTERS in user.groups else PlainSeat(self, mutating=mutating, executes=False)
        self.in_flight.executes(mutating, 1)
        return PlainSeat(self, mutating=mutating, executes=True)


class PlainSeat:
    """One of so many."""

    __slots__ = ("_held", "_limiter", "_mutating", "executes")

    def __init__(self, limiter: MaxInFlight, *, mutating: bool, executes: bool) -> None:
        self._limiter = limiter
        self._mutating = mutating
        self._held = self.executes = executes

    async def turn(self) -> bool:
        return self.executes

    def refusal(self) -> Response:
        return too_many_requests(1)

    def answered(self, response: Response) -> None:
        release_when_sent(self, response)

    def release(self) -> None:
        if self._held:
            self._held = False
            self._limiter.in_flight.executes(self._mutating, -1)
