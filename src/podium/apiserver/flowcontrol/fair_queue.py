"""Fair queuing of one priority level: who waits in which queue, who is next, who holds how many seats.

Pure: time is told, nothing is awaited. As upstream (fairqueuing/queueset), a request goes to the least loaded
queue of its flow's hand, and the next to run is the one with the earliest virtual finish: where its queue
stands, in seat-seconds, and what the request will take.

Two things differ, because what requests wait for here is one event loop rather than seats:

- What a request takes is the larger of its seats for as long as it lasts, and all seats for as long as it
  has the loop: meanwhile nobody else can use one. Both are learnt from earlier requests of the same sort;
  upstream takes three milliseconds for all of them, and sets it right only when they are over.
- Who comes to an empty queue starts where the one stands that was given least of those that wait. Upstream
  has them start at a virtual time that moves by the seats which could be in use. That would run far ahead of
  what one loop can do: everybody would seem to have been starved since coming, and all that counted would be
  who came first.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

SERVICE_S = 0.003
"""What a request is thought to take until it is known better."""

Hand = tuple[int, ...]


@dataclass(slots=True, kw_only=True)
class Work:
    """How many seats a request is thought to need. Not to be changed once made."""

    seats: int = 1
    final_seats: int = 0
    """Held after the answer, for `final_s`: the events of a write keep the server busy."""
    final_s: float = 0.0
    seats_max: int = field(init=False)

    def __post_init__(self) -> None:
        self.seats_max = max(self.seats, self.final_seats)


class Queue:
    """Requests of the flows that share it, first come first served."""

    __slots__ = ("executing", "index", "seats_in_use", "seats_waiting", "virtual", "waiting", "work_waiting")

    def __init__(self, index: int) -> None:
        self.index = index
        self.waiting: dict[Ticket, None] = {}
        """In the order of their coming."""
        self.executing: set[Ticket] = set()
        self.seats_in_use = 0
        self.seats_waiting = 0
        self.work_waiting = 0.0
        """Seat-seconds."""
        self.virtual = 0.0
        """Where it stands: the virtual start of its next request."""

    @property
    def is_active(self) -> bool:
        return bool(self.waiting or self.executing)


class Ticket:
    """One request on its way through a level: waiting, executing, lingering, gone."""

    arrived_virtual = 0.0
    charged = 0.0
    """What its queue has been charged with, in seat-seconds."""
    started_s: float | None = None
    """When it began to execute; None while it waits."""
    queue: Queue | None = None

    def __init__(
        self, work: Work, arrived_s: float, *, service_s: float = SERVICE_S, loop_s: float = 0.0
    ) -> None:
        self.work = work
        self.arrived_s = arrived_s
        self.service_s = service_s
        """How long it is thought to last."""
        self.loop_s = loop_s
        """How much of that the event loop is thought to be busy with it, or known to have been."""

    def takes(self, seats: int, lasts_s: float) -> float:
        """Return the seat-seconds that it takes of a level with so many seats, if it lasts so long."""
        return max(self.work.seats * lasts_s, seats * self.loop_s) + self.work.final_seats * self.work.final_s


class FairQueues:
    """The queues and seats of one level.

    A ticket is either begun at once (`begin`) or enqueued (`enqueue`), later taken (`take`) or withdrawn
    (`withdraw`), and one that runs is finished (`finish`), then `release`d when its seats no longer linger.
    """

    def __init__(self) -> None:
        self.limit = 0
        """Seats that may be in use; nobody is stopped who has one when it shrinks."""
        self.exempt = False
        self.waiting = self.executing = 0
        self.seats_in_use = self.seats_waiting = 0
        self.dispatched = self.rejected = self.timed_out = self.cancelled = 0
        self.queues: list[Queue] = []
        self.apart: dict[Ticket, None] = {}
        """Those that execute without having had a queue."""
        self._virtual = 0.0
        self._length_max = 0
        self._backlog: dict[Queue, None] = {}
        self._line: deque[Ticket] = deque()
        """Those that have their seats, in a level without queues, and wait for the event loop only."""
        self._enqueues = 0
        self._robin = 0

    def configure(self, *, queues: int, length_max: int, exempt: bool = False) -> None:
        """Set how many queues there are, none meaning that what finds no seat is rejected.

        Who waits in a queue that there shall be no more keeps waiting there.
        """
        self.exempt = exempt
        self._length_max = length_max
        del self.queues[queues:]
        self.queues += [Queue(index) for index in range(len(self.queues), queues)]

    # --- coming

    @property
    def has_waiting(self) -> bool:
        return bool(self._backlog or self._line)

    def all_waiting(self) -> list[Ticket]:
        """Return everybody who waits, the oldest of each queue first."""
        return [*self._line, *(ticket for queue in self._backlog for ticket in queue.waiting)]

    @property
    def is_idle(self) -> bool:
        return not (self.waiting or self.executing or self.seats_in_use)

    def fits(self, seats: int) -> bool:
        """Whether a request of so many seats may execute now. What needs more than there are runs alone."""
        if self.exempt:
            return True
        if seats > self.limit:
            return self.executing == 0
        return self.seats_in_use + seats <= self.limit

    def has_room(self, seats: int) -> bool:
        """Whether a request that has just come may execute at once."""
        if self.exempt:
            return True
        return (
            not self.has_waiting and self.fits(seats) and (self.seats_in_use < self.limit or not self.queues)
        )

    def begin(self, ticket: Ticket, hand: Hand, now_s: float) -> None:
        """Execute at once what has room."""
        queue = self._shortest(hand) if hand else None
        if queue is not None:
            self._touch(queue)
        self._execute(ticket, queue, now_s)

    def enqueue(self, ticket: Ticket, hand: Hand, now_s: float) -> str:
        """Let a request wait; return why it may not, as upstream's metrics call it, "" when it may."""
        if not self.queues:
            if not self.fits(ticket.work.seats_max):
                self.rejected += 1
                return "concurrency-limit"
            self._execute(ticket, None, now_s)
            self._line.append(ticket)
            return ""
        queue = self._shortest(hand)
        if len(queue.waiting) >= self._length_max:
            self.rejected += 1
            return "queue-full"
        self._touch(queue)
        ticket.queue = queue
        ticket.arrived_virtual = self.virtual
        ticket.charged = ticket.takes(self.limit, ticket.service_s)
        queue.waiting[ticket] = None
        self._count_waiting(queue, ticket, 1)
        self._backlog[queue] = None
        self._bound(queue)
        return ""

    def _shortest(self, hand: Hand) -> Queue:
        """Return the queue of a hand with the least work in it, of those that are not full.

        The first look moves on, so that flows which share some queues do not meet in the same one.
        """
        offset = self._enqueues % len(hand)
        self._enqueues += 1
        if not self._backlog:
            return self.queues[hand[offset]]
        queues = [self.queues[card] for card in (*hand[offset:], *hand[:offset])]
        full = self._length_max
        return min(queues, key=lambda queue: (len(queue.waiting) >= full, queue.work_waiting))

    def _touch(self, queue: Queue) -> None:
        """Somebody comes to a queue: one that had nobody does not start from where it stood long ago."""
        if not queue.is_active:
            queue.virtual = max(queue.virtual, self.virtual)

    @property
    def virtual(self) -> float:
        """Virtual time, in seat-seconds: where those stand who were given least."""
        if self._backlog:
            self._virtual = min(queue.virtual for queue in self._backlog)
        return self._virtual

    # --- going

    def take(self, now_s: float) -> Ticket | None:
        """Return whom to run next, who then executes; None when nobody waits or the next has no seat yet."""
        if self._line:
            ticket = self._line.popleft()
            ticket.started_s = now_s
            return ticket
        if not self._backlog or self.seats_in_use >= self.limit:
            return None
        queue = self._next_queue()
        ticket = next(iter(queue.waiting))
        if not self.fits(ticket.work.seats_max):
            return None
        self._robin = queue.index
        self._leave(queue, ticket)
        self._execute(ticket, queue, now_s)
        self._bound(queue)
        return ticket

    def _next_queue(self) -> Queue:
        """Return the queue with the earliest virtual finish; of equals, the next one around."""
        around, best, best_key = len(self.queues) or 1, None, (math.inf, 0)
        for queue in self._backlog:
            oldest = next(iter(queue.waiting))
            key = (queue.virtual + oldest.charged, (queue.index - self._robin - 1) % around)
            if best is None or key < best_key:
                best, best_key = queue, key
        assert best is not None
        return best

    def withdraw(self, ticket: Ticket, now_s: float) -> None:
        """Take out one that waits: its time is over, or its client has gone."""
        self.cancelled += 1
        self.rejected += 1
        queue = ticket.queue
        if queue is None:
            self._line.remove(ticket)
            self.apart.pop(ticket, None)
            self.executing -= 1
            self.release(ticket)
            return
        self._leave(queue, ticket)
        self._bound(queue)

    def finish(self, ticket: Ticket, now_s: float) -> float:
        """An execution is over; return how many seconds its seats linger, 0 when they are free at once."""
        self.executing -= 1
        queue = ticket.queue
        if queue is not None:
            lasted_s = now_s - (ticket.started_s if ticket.started_s is not None else now_s)
            queue.virtual += ticket.takes(self.limit, lasted_s) - ticket.charged
            queue.executing.discard(ticket)
            self._bound(queue)
        else:
            self.apart.pop(ticket, None)
        if ticket.work.final_s > 0:
            return ticket.work.final_s
        self.release(ticket)
        return 0.0

    def release(self, ticket: Ticket) -> None:
        """Free the seats of one that is finished."""
        seats = ticket.work.seats_max
        self.seats_in_use -= seats
        if ticket.queue is not None:
            ticket.queue.seats_in_use -= seats

    # --- keeping count

    def _execute(self, ticket: Ticket, queue: Queue | None, now_s: float) -> None:
        seats = ticket.work.seats_max
        ticket.started_s = now_s
        ticket.queue = queue
        self.executing += 1
        self.seats_in_use += seats
        if queue is None:
            self.apart[ticket] = None
            return
        queue.executing.add(ticket)
        queue.seats_in_use += seats
        if not self._backlog:
            self._virtual = max(self._virtual, queue.virtual)
        ticket.charged = ticket.takes(self.limit, ticket.service_s)
        queue.virtual += ticket.charged

    def _leave(self, queue: Queue, ticket: Ticket) -> None:
        del queue.waiting[ticket]
        self._count_waiting(queue, ticket, -1)
        if not queue.waiting:
            queue.work_waiting = 0.0
            del self._backlog[queue]

    def _count_waiting(self, queue: Queue, ticket: Ticket, by: int) -> None:
        seats = by * ticket.work.seats_max
        self.waiting += by
        self.seats_waiting += seats
        queue.seats_waiting += seats
        queue.work_waiting += by * ticket.charged

    def _bound(self, queue: Queue) -> None:
        """Do not let a queue save up: nobody starts before having come, not even on paper."""
        oldest = next(iter(queue.waiting), None)
        if oldest is not None and queue.virtual < oldest.arrived_virtual:
            queue.virtual = oldest.arrived_virtual
