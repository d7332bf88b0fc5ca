"""Plain limits, where priority and fairness are off."""

from __future__ import annotations

import pytest

from podium.apiserver.chain import RequestInfo, User
from podium.apiserver.flowcontrol.in_flight import MaxInFlight
from podium.apiserver.state_metrics import InFlight
from podium.base.http.message import Request, Response
from podium.base.metrics import Registry
from tests.apiserver.fakes import asks, user

ALICE, ROOT = user("alice", "system:authenticated"), user("root", "system:masters")
LIST, CREATE = asks("list", "pods"), asks("create", "pods", namespace="a")


def limiter(reading: int, mutating: int) -> tuple[MaxInFlight, Registry]:
    registry = Registry()
    return MaxInFlight(reading_max=reading, mutating_max=mutating, in_flight=InFlight(registry)), registry


def arrive(limits: MaxInFlight, info: RequestInfo, who: User = ALICE) -> object:
    return limits.arrive(Request(method="GET", target="/"), info, who, 60.0)


def test_reads_and_writes_have_limits_of_their_own() -> None:
    limits, registry = limiter(2, 1)
    first, second = arrive(limits, LIST), arrive(limits, LIST)
    assert first.executes  # type: ignore[attr-defined]
    refused = limits.arrive(Request(method="GET", target="/"), LIST, ALICE, 60.0)
    assert refused is not None
    assert not refused.executes
    response = refused.refusal()
    assert (response.status, response.body) == (429, b"Too many requests, please try again later.\n")
    assert response.headers.get("retry-after") == "1"
    assert limits.at_once(ALICE, asks("get", "pods"), 0.0) is None
    assert arrive(limits, CREATE).executes  # type: ignore[attr-defined]
    assert not arrive(limits, CREATE).executes  # type: ignore[attr-defined]
    refused.release()
    assert 'apiserver_current_inflight_requests{request_kind="readOnly"} 2' in registry.text().decode()
    for seat in (first, second):
        seat.answered(Response())  # type: ignore[attr-defined]
    assert arrive(limits, LIST).executes  # type: ignore[attr-defined]
    assert limits.at_once(ALICE, asks("get", "pods"), 0.0) is not None


@pytest.mark.parametrize(
    "info", [asks("watch", "pods"), asks("create", "pods/exec"), asks("get", "pods/log")]
)
def test_what_may_last_is_not_counted(info: RequestInfo) -> None:
    limits, _ = limiter(1, 1)
    assert arrive(limits, LIST) is not None
    assert arrive(limits, info) is None


def test_masters_always_get_through() -> None:
    limits, _ = limiter(1, 1)
    for _ in range(3):
        arrive(limits, LIST, ROOT)
    assert arrive(limits, LIST, ROOT) is None
    assert not arrive(limits, LIST).executes  # type: ignore[attr-defined]


def test_zero_is_no_limit() -> None:
    limits, _ = limiter(0, 0)
    assert all(arrive(limits, LIST).executes for _ in range(1000))  # type: ignore[attr-defined]
