"""How fast silent nodes are emptied, zone by zone."""

from __future__ import annotations

import asyncio
import math

import pytest

from podium.controllers.node_lifecycle import node_lifecycle
from podium.controllers.node_zones import EvictionRates, Turns, ZoneState, rate_for, state_of, zone_of
from podium.machinery.errors import Object
from podium.resources.coordination.leases import LEASES
from podium.resources.core.nodes import NODES
from tests.controllers.builders import running
from tests.controllers.test_nodes import node, taints
from tests.runtime.fakes import FakeApi

RATES = EvictionRates()


def in_zone(name: str, zone: str, ready: str = "True", **labels: str) -> Object:
    made = node(name, ready)
    marked = {key.replace("__", "/"): value for key, value in labels.items()}
    made["metadata"]["labels"] = {"topology.kubernetes.io/zone": zone, **marked}
    return made


@pytest.mark.parametrize(
    ("ready", "not_ready", "expected"),
    [
        (0, 0, ZoneState.NORMAL),
        (5, 0, ZoneState.NORMAL),
        (0, 1, ZoneState.FULL),
        (1, 2, ZoneState.NORMAL),
        (2, 3, ZoneState.PARTIAL),
        (5, 5, ZoneState.NORMAL),
        (4, 5, ZoneState.PARTIAL),
    ],
)
def test_states(ready: int, not_ready: int, expected: ZoneState) -> None:
    assert state_of(ready, not_ready, RATES) is expected


def test_zones_and_rates() -> None:
    ill = [in_zone(f"x{i}", "x", "False") for i in range(3)]
    well = [in_zone("y", "y"), in_zone("x", "x")]
    assert zone_of(node()) == "" and zone_of(ill[0]) == zone_of(well[1]) != zone_of(well[0])
    assert rate_for(ill[0], [*ill, *well], RATES) == 0.0
    assert rate_for(ill[0], [*ill, *well], EvictionRates(large_cluster=3)) == 0.01
    assert rate_for(ill[0], ill, RATES) == 0.1
    excluded = in_zone("z", "x", "False", **{"node.kubernetes.io__exclude-disruption": ""})
    assert rate_for(ill[0], [*ill[:2], excluded, *well], RATES) == 0.1


def test_turns() -> None:
    turns = Turns()
    assert turns.take("a", 0.1, 0) == 0.0
    assert turns.take("a", 0.1, 4) == pytest.approx(6)
    assert turns.take("b", 0.1, 4) == 0.0
    assert turns.take("a", 0.0, 5) == math.inf
    assert turns.take("a", 0.1, 11) == 0.0


@pytest.mark.parametrize(
    ("zones", "evicted_at_40_s", "evicted_at_60_s"),
    [
        pytest.param("aaaa", 1, 3, id="few of a zone, one after the other"),
        pytest.param("aaab", 2, 4, id="each zone by itself"),
    ],
)
def test_silent_nodes_are_emptied_one_after_the_other(
    zones: str, evicted_at_40_s: int, evicted_at_60_s: int
) -> None:
    async def go() -> None:
        api = FakeApi()
        silent = [f"n{i}" for i in range(len(zones))]
        beating = [f"w{i}" for i in range(8)]
        for name, zone in zip(silent, zones, strict=True):
            api.put(NODES, in_zone(name, zone))
        for name in beating:
            api.put(NODES, in_zone(name, "a" if name < "w6" else "b"))

        def beat() -> None:
            for name in beating:
                spec = {"renewTime": str(api.clock.monotonic_s())}
                api.put(LEASES, {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": spec})

        def evicted() -> int:
            return sum(("unreachable", "NoExecute") in taints(n) for n in api.all(NODES))

        async with running(api, [node_lifecycle(40, api.clock)]):
            for _ in range(41):
                beat()
                await api.clock.advance(1)
            assert evicted() == evicted_at_40_s
            assert sum(("unreachable", "NoSchedule") in taints(n) for n in api.all(NODES)) == len(zones)
            for _ in range(20):
                beat()
                await api.clock.advance(1)
            assert evicted() == evicted_at_60_s

    asyncio.run(go())


def test_a_zone_with_many_silent_nodes_keeps_its_pods() -> None:
    async def go() -> None:
        api = FakeApi()
        for index in range(5):
            api.put(NODES, in_zone(f"n{index}", "a"))
        api.put(NODES, in_zone("w", "a"))
        async with running(api, [node_lifecycle(40, api.clock)]):
            for second in range(200):
                spec = {"renewTime": str(second)}
                api.put(LEASES, {"metadata": {"name": "w", "namespace": "kube-node-lease"}, "spec": spec})
                await api.clock.advance(1)
            found = [taints(api.table(NODES)[f"n{i}"]) for i in range(5)]
            assert all(("unreachable", "NoSchedule") in each for each in found)
            # One may go before the others are found out; then the zone counts as ill.
            assert sum(("unreachable", "NoExecute") in each for each in found) <= 1

    asyncio.run(go())
