"""ServiceCIDRs: ready, and gone only when nobody needs them."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import Any

import pytest

from podium.controllers.service_cidrs import FINALIZER, READY, TERMINATING, Plan, holds, may_go, plan
from podium.machinery.errors import Object
from tests.runtime.fakes import START


def cidr(name: str, *ranges: str, going: bool = False, **fields: Any) -> Object:
    metadata: Object = {"name": name, "finalizers": fields.pop("finalizers", [FINALIZER])}
    if going:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata, "spec": {"cidrs": list(ranges)}, "status": fields}


def said(condition: Object) -> list[Object]:
    return [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}]


def addresses(*texts: str) -> list[Any]:
    return [ipaddress.ip_address(text) for text in texts]


SMALL = cidr("small", "10.1.0.0/24", going=True)
LATER = START + timedelta(seconds=11)


@pytest.mark.parametrize(
    ("looked_at", "others", "used", "expected"),
    [
        pytest.param(
            cidr("a", "10.1.0.0/24", finalizers=[]), [], [], Plan(finalizer=True, condition=READY), id="new"
        ),
        pytest.param(cidr("a", "10.1.0.0/24", conditions=said(READY)), [], [], Plan(), id="settled"),
        pytest.param(SMALL, [], ["10.1.0.9"], Plan(condition=TERMINATING), id="in use"),
        pytest.param(
            cidr("s", "10.1.0.0/24", going=True, conditions=said(TERMINATING)),
            [],
            ["10.1.0.9"],
            Plan(),
            id="in use, and says so",
        ),
        pytest.param(SMALL, [], ["10.2.0.9"], Plan(finalizer=False), id="free"),
        pytest.param(
            SMALL, [cidr("b", "10.1.0.0/16")], ["10.1.0.9"], Plan(finalizer=False), id="inside another"
        ),
        pytest.param(
            SMALL,
            [cidr("b", "10.1.0.0/28")],
            ["10.1.0.9"],
            Plan(finalizer=False),
            id="another has the address",
        ),
    ],
)
def test_plan(looked_at: Object, others: list[Object], used: list[str], expected: Plan) -> None:
    assert plan(looked_at, others, addresses(*used), LATER) == expected


def test_a_range_that_is_free_goes_after_a_while() -> None:
    assert plan(SMALL, [], [], START + timedelta(seconds=4)) == Plan(again_s=6)


def test_both_ranges_of_a_pair_count() -> None:
    pair = cidr("p", "10.1.0.0/24", "fd00::/112", going=True)
    assert not may_go(pair, [cidr("b", "10.0.0.0/8")], addresses("fd00::5"))
    assert may_go(pair, [cidr("b", "10.0.0.0/8", "fd00::/64")], addresses("fd00::5"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10.1.0.0", False), ("10.1.0.1", True), ("10.1.0.255", False), ("10.2.0.1", False)],
)
def test_addresses_of_a_range(text: str, expected: bool) -> None:
    assert holds(ipaddress.ip_network("10.1.0.0/24"), ipaddress.ip_address(text)) is expected
