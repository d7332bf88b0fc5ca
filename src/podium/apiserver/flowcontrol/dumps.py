"""Who waits and who executes, as text tables for people: /debug/api_priority_and_fairness/.

Upstream: apf_controller_debug.go, whose columns (and one misspelling) these are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter

from podium.apiserver.flowcontrol.control import FlowControl, FlowSeat
from podium.apiserver.flowcontrol.fair_queue import Queue, Ticket
from podium.apiserver.flowcontrol.level import Level
from podium.apiserver.http.respond import text
from podium.base.http.message import Request, Response

PREFIX = "/debug/api_priority_and_fairness/"
_WIDTH_MIN = 8
_NEVER = "0001-01-01T00:00:00Z"
_LEVELS = (
    *("PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests"),
    *("DispatchedRequests", "RejectedRequests", "TimedoutRequests", "CancelledRequests"),
)
_QUEUES = (
    *("PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR"),
    *("InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum"),
)
_REQUESTS = (
    *("PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher"),
    *("ArriveTime", "InitialSeats", "FinalSeats", "AdditionalLatency", "StartTime"),
)
_DETAILS = (*("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"),)

Row = Sequence[str]


class Dumps:
    """Answers the three paths for one server."""

    def __init__(self, control: FlowControl) -> None:
        self._control = control

    def _levels(self) -> Iterable[Level]:
        self._control.configuration.refresh(perf_counter())
        return self._control.configuration.levels.values()

    def priority_levels(self, _request: Request) -> Response:
        return text(table(_LEVELS, map(_level, self._levels())))

    def queues(self, _request: Request) -> Response:
        rows = (_queue(level, queue) for level in self._levels() for queue in level.queues.queues)
        return text(table(_QUEUES, rows))

    def requests(self, request: Request) -> Response:
        details = bool(request.parameter("includeRequestDetails"))
        rows = (row for level in self._levels() for row in _requests(level, details=details))
        return text(table((*_REQUESTS, *_DETAILS) if details else _REQUESTS, rows))


def table(head: Row, rows: Iterable[Row]) -> str:
    """Return rows with their columns one below the other, as Go's tabwriter lays them out."""
    lines = [[*(f"{cell}," for cell in row[:-1]), row[-1]] for row in (head, *rows)]
    widths = [max(_WIDTH_MIN, *(len(cell) + 1 for cell in column)) for column in zip(*lines, strict=True)]
    return "".join(
        "".join(cell.ljust(width) for cell, width in zip(line[:-1], widths, strict=False)) + line[-1] + "\n"
        for line in lines
    )


def _level(level: Level) -> Row:
    queues = level.queues
    return (
        level.name,
        str(sum(bool(queue.waiting) for queue in queues.queues)),
        _bool(queues.is_idle),
        _bool(level.quiescing),
        *(str(count) for count in (queues.waiting, queues.executing, queues.dispatched)),
        *(str(count) for count in (queues.rejected, queues.timed_out, queues.cancelled)),
    )


def _bool(value: object) -> str:
    return "true" if value else "false"


def _queue(level: Level, queue: Queue) -> Row:
    return (
        level.name,
        *(
            str(count)
            for count in (queue.index, len(queue.waiting), len(queue.executing), queue.seats_in_use)
        ),
        _seat_seconds(queue.virtual),
        str(sum(ticket.work.seats for ticket in queue.waiting)),
        str(queue.seats_waiting),
        _seat_seconds(queue.work_waiting),
    )


def _seat_seconds(value: float) -> str:
    return f"{max(0.0, value):.8f}ss"


def _requests(level: Level, *, details: bool) -> Iterator[Row]:
    for queue in level.queues.queues:
        for place, ticket in enumerate(queue.waiting):
            yield _request(level, queue.index, place, ticket, details=details)
        for ticket in queue.executing:
            yield _request(level, queue.index, -1, ticket, details=details)
    for ticket in level.queues.apart:
        yield _request(level, -1, -1, ticket, details=details)


def _request(level: Level, queue: int, place: int, ticket: Ticket, *, details: bool) -> Row:
    assert isinstance(ticket, FlowSeat)
    flow, info, work = ticket.flow, ticket.info, ticket.work
    row = (
        level.name,
        flow.schema.name,
        str(queue),
        str(place),
        flow.name,
        _moment(ticket.arrived_s),
        str(work.seats),
        str(work.final_seats),
        _duration(work.final_s),
        _moment(ticket.started_s) if ticket.started_s is not None else _NEVER,
    )
    if not details:
        return row
    version = f"{info.api_group}/{info.api_version}" if info.api_group else info.api_version
    return (
        *row,
        *(ticket.user.name, info.verb, info.path, info.namespace, info.name),
        *(version, info.resource, info.subresource),
    )


def _moment(when_s: float) -> str:
    """Return a reading of the performance counter as RFC 3339 with nanoseconds, as far as they are known."""
    moment = datetime.now(UTC) - timedelta(seconds=perf_counter() - when_s)
    fraction = f".{moment.microsecond:06}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _duration(seconds: float) -> str:
    """Return a duration as Go writes those below a second."""
    if not seconds:
        return "0s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.6f}".rstrip("0").rstrip(".") + "ms" if milliseconds < 1000 else f"{seconds:g}s"
