"""How many seats a request is thought to need. Pure; upstream: flowcontrol/request.

A list is as wide as what it holds in memory at once, a write may keep the server busy with the events it
makes, anything else takes one seat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podium.apiserver.chain import RequestInfo
from podium.apiserver.flowcontrol.fair_queue import Work

LIST_SEATS_MAX = 100
COUNTED_LIST_SEATS_MAX = 10
"""While seats go by the number of objects: without the feature SizeBasedListCostEstimate."""
WRITE_SEATS_MAX = 10
OBJECTS_PER_SEAT = 100
BYTES_PER_SEAT = 100_000
CACHED_BYTES_MAX = 1_000_000
"""A list from the cache is written as it is read: more of it than this is never in memory for its sake."""
OBJECT_BYTES_MAX = 1_500_000
WATCHES_PER_SEAT = 10
EVENT_S = 0.005
"""How long a seat is taken by an event for so many watches."""

ONE = Work()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """How much there is of a resource."""

    count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """What the parameters of a list or watch say about its cost."""

    limit: int = 0
    selects: bool = False
    resource_version: str = ""
    version_match: str = ""
    continued: bool = False
    sends_initial_events: bool = False
    valid: bool = True

    @property
    def from_store(self) -> bool:
        """Whether it is of the past, which the cache does not show."""
        if self.version_match == "NotOlderThan":
            return False
        if self.version_match:
            return True
        return self.continued or (self.limit > 0 and self.resource_version not in ("", "0"))


def list_query(query: Mapping[str, Sequence[str]]) -> ListQuery:
    """Return what the parameters of a request say."""

    def first(name: str) -> str:
        return query[name][0] if name in query else ""

    try:
        limit = int(first("limit") or 0)
    except ValueError:
        return ListQuery(valid=False)  # It will be refused.
    return ListQuery(
        limit=max(0, limit),
        selects=bool(first("labelSelector") or first("fieldSelector")),
        resource_version=first("resourceVersion"),
        version_match=first("resourceVersionMatch"),
        continued=bool(first("continue")),
        sends_initial_events=first("sendInitialEvents") in ("true", "1"),
    )


def of_list(
    info: RequestInfo, query: ListQuery, stored: Stored | None, seats_max: int, *, by_size: bool = True
) -> Work:
    """Return the width of a list, or of the initial state of a watch. `stored` is None where this server does
    not know, because it does not serve the resource itself. `seats_max` 0 means no limit of the level's."""
    most = LIST_SEATS_MAX if by_size else COUNTED_LIST_SEATS_MAX
    most = min(most, seats_max or most)
    if not query.valid:
        return Work(seats=most)
    watches = info.verb == "watch"
    if watches and not query.sends_initial_events and query.resource_version not in ("", "0"):
        return ONE
    if stored is None:
        return ONE
    cached = watches or not query.from_store
    seats = (_by_size if by_size else _by_count)(bool(info.name), query, stored, cached)
    return Work(seats=max(1, min(most, seats)))


def _by_size(single: bool, query: ListQuery, stored: Stored, cached: bool) -> int:
    limited = min(stored.count, query.limit or stored.count)
    loaded = limited
    if single:
        loaded = 1
    elif not cached and query.selects:
        loaded = max(limited, stored.count // 2)
    size_bytes = loaded * (stored.size_bytes // stored.count if stored.count else 0)
    if cached:
        size_bytes = min(size_bytes, CACHED_BYTES_MAX)
    return math.ceil(size_bytes / BYTES_PER_SEAT)


def _by_count(single: bool, query: ListQuery, stored: Stored, cached: bool) -> int:
    limited = min(stored.count, query.limit or stored.count)
    if single:
        looked_at = 1
    elif cached:
        looked_at = stored.count
    elif query.selects:
        looked_at = stored.count + limited
    else:
        looked_at = 2 * limited
    return math.ceil(looked_at / OBJECTS_PER_SEAT)


def of_write(watches: int, seats_max: int) -> Work:
    """Return the work of a write that so many watches will hear of."""
    if watches < WATCHES_PER_SEAT:
        return ONE
    seats = math.ceil(watches / WATCHES_PER_SEAT)
    work = seats * EVENT_S
    seats = min(seats, WRITE_SEATS_MAX, seats_max or WRITE_SEATS_MAX)
    return Work(final_seats=seats, final_s=work / seats)
