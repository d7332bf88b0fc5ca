"""How long a request may take: what `--request-timeout` says, or less where the client does (`?timeout=5s`).

Upstream: endpoints/filters/request_deadline.go, server/filters/timeout.go. What may last long is not timed.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from time import perf_counter

from podium.base.http.message import Request
from podium.machinery.errors import BadRequest, Timeout

LOOK_INTERVAL_S = 0.25
"""How often requests under way are looked at, while there are any."""

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = re.compile(r"\d+\.?\d*|\.\d+")
_UNIT = re.compile(r"[^\d.]+")


@dataclass(slots=True, eq=False)
class Deadline:
    """When one request will have taken too long."""

    request: Request
    at_s: float
    task: asyncio.Task[object] | None
    """Who handles it, where the request does not know how it is cancelled."""
    passed: bool = False

    def pass_(self) -> None:
        """Have its handler cancelled."""
        self.passed = True
        if self.request.cancel is not None:
            self.request.cancel()
        elif self.task is not None:
            self.task.cancel()

    def survive(self) -> None:
        """The handler has been cancelled for this, and goes on to say so."""
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()


class Deadlines:
    """The requests under way in one server."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._pending: set[Deadline] = set()
        self._looking = False

    def timeout_s(self, request: Request) -> float:
        """Return how long a request may take. Raises `BadRequest` where it says nonsense about that."""
        if "timeout" not in request.raw_query or not (text := request.parameter("timeout")):
            return self._timeout_s
        try:
            wanted_s = go_duration_s(text)
        except ValueError as error:
            raise BadRequest(f"invalid timeout specified in the request URL - {error}") from None
        return wanted_s if 0 < wanted_s < self._timeout_s else self._timeout_s

    def begin(self, request: Request, timeout_s: float) -> Deadline:
        task = asyncio.current_task() if request.cancel is None else None
        deadline = Deadline(request, perf_counter() + timeout_s, task)
        self._pending.add(deadline)
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(LOOK_INTERVAL_S, self._look)
        return deadline

    def end(self, deadline: Deadline) -> None:
        self._pending.discard(deadline)

    def _look(self) -> None:
        now_s = perf_counter()
        for deadline in [one for one in self._pending if one.at_s < now_s]:
            self._pending.discard(deadline)
            deadline.pass_()
        self._looking = bool(self._pending)
        if self._looking:
            asyncio.get_running_loop().call_later(LOOK_INTERVAL_S, self._look)


def timed_out() -> Timeout:
    return Timeout("Timeout: request did not complete within the allotted timeout", details={})


def go_duration_s(text: str) -> float:
    """Return the seconds of a duration as Go writes them. Raises ValueError in Go's words."""
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0.0
    total_s = 0.0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    while rest:
        number = _NUMBER.match(rest)
        if number is None:
            raise ValueError(f'time: invalid duration "{text}"')
        rest = rest[number.end() :]
        unit = _UNIT.match(rest)
        if unit is None:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit[0] not in _UNITS_S:
            raise ValueError(f'time: unknown unit "{unit[0]}" in duration "{text}"')
        total_s += float(number[0]) * _UNITS_S[unit[0]]
        rest = rest[unit.end() :]
    return -total_s if text[0] == "-" else total_s
