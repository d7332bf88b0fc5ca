"""What the server's handler asks of whoever limits the requests being served, and what all limiters share."""

from __future__ import annotations

from typing import Protocol

from podium.apiserver.chain import RequestInfo, User
from podium.apiserver.http.respond import text
from podium.base.http.connection import WRITE_BYTES
from podium.base.http.message import Request, Response, StreamWriter

_LONG_VERBS = ("watch", "proxy")
_LONG_SUBRESOURCES = ("attach", "exec", "proxy", "log", "portforward")
_READS = ("get", "list", "watch")


class AtOnce(Protocol):
    """Leave for a short read that needs nobody else's time."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What its answer tells of how it was classified."""
        ...

    def read_at_once(self, took_s: float) -> None:
        """It has been answered."""
        ...


class Seat(Protocol):
    """The place of one request among those being served."""

    @property
    def executes(self) -> bool:
        """It may go on without waiting."""
        ...

    async def turn(self) -> bool:
        """Wait for its turn; return whether it has come. False means `refusal`."""
        ...

    def refusal(self) -> Response: ...

    def answered(self, response: Response) -> None:
        """Its answer is ready; the seat is free once that has been sent, or, of a watch, has begun."""
        ...

    def release(self) -> None:
        """Free the seat. Later calls do nothing."""
        ...


class Limiter(Protocol):
    def at_once(self, user: User, info: RequestInfo, now_s: float) -> AtOnce | None:
        """Return leave for a read that is answered before anything else happens; None: it has to `arrive`."""
        ...

    def arrive(self, request: Request, info: RequestInfo, user: User, timeout_s: float) -> Seat | None:
        """Return the seat of a request that may take so long; None when such requests are not limited."""
        ...


def is_long_running(info: RequestInfo) -> bool:
    """Whether a request may last as long as its client likes."""
    if info.verb in _LONG_VERBS:
        return True
    if info.is_resource:
        return info.subresource in _LONG_SUBRESOURCES
    return info.path.startswith("/debug/pprof/")


def is_mutating(info: RequestInfo) -> bool:
    return info.verb not in _READS


def too_many_requests(retry_after_s: int) -> Response:
    response = text("Too many requests, please try again later.\n", status=429)
    response.headers.set("retry-after", str(retry_after_s))
    return response


def size_bytes(response: Response) -> int:
    """Return how long a body is, 0 where that is not known yet."""
    body = response.body
    return len(body) if isinstance(body, bytes) else sum(map(len, body))


def release_when_sent(seat: Seat, response: Response) -> None:
    """Free a seat when an answer has left: at once where that takes no time."""
    stream, upgrade = response.stream, response.upgrade
    if stream is not None:

        async def seated(writer: StreamWriter) -> None:
            try:
                await stream(writer)
            finally:
                seat.release()

        response.stream = seated
    elif upgrade is not None or (isinstance(response.body, bytes) and len(response.body) <= WRITE_BYTES):
        seat.release()
    else:
        response.sent = seat.release
