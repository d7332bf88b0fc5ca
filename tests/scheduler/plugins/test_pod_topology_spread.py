from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.scheduler.plugins.pod_topology_spread import HOSTNAME, ZONE, PodTopologySpread
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Snapshot
from tests.scheduler.builders import info, node, place, snapshot
from tests.scheduler.plugins.helpers import passing, reasons, resolvable, scores

MISMATCH = "node(s) didn't match pod topology spread constraints"


def constraint(key: str = ZONE, skew: int = 1, *, soft: bool = False, **more: Any) -> Object:
    return {
        "topologyKey": key,
        "maxSkew": skew,
        "whenUnsatisfiable": "ScheduleAnyway" if soft else "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
        **more,
    }


def web(name: str = "p", *constraints: Object, **arguments: Any) -> PodInfo:
    return info(
        name,
        labels={"app": "web", "version": "1"},
        topologySpreadConstraints=list(constraints),
        **arguments,
    )


def zones(*counts: int) -> Snapshot:
    """One node a zone (`z0`, `z1`, …) with that many web pods on it, and `bare` without a zone."""
    made = snapshot(*(node(f"z{i}", labels={ZONE: f"z{i}"}) for i in range(len(counts))), node("bare"))
    for zone, count in enumerate(counts):
        place(made, f"z{zone}", *(web(f"w{zone}-{n}") for n in range(count)))
    return made


@pytest.mark.parametrize(
    ("counts", "constraints", "expected"),
    [
        ((0, 0), [constraint()], {"z0", "z1"}),
        ((1, 0), [constraint()], {"z1"}),
        ((1, 0), [constraint(skew=2)], {"z0", "z1"}),
        ((3, 1, 2), [constraint()], {"z1"}),
        ((3, 1, 2), [constraint(skew=2)], {"z1", "z2"}),
        ((1, 1), [constraint(minDomains=3)], set[str]()),
        ((0, 1), [constraint(minDomains=3)], {"z0"}),
        ((1, 0), [constraint(labelSelector={"matchLabels": {"app": "other"}})], {"z0", "z1"}),
        ((2, 0), [constraint(), constraint(HOSTNAME)], {"z1"}),
        ((5, 0), [constraint(soft=True)], {"z0", "z1", "bare"}),
        ((5, 0), [constraint(labelSelector={"matchExpressions": [{"key": "a", "operator": "?"}]})],
         {"z0", "z1", "bare"}),
        ((1, 0), [constraint(matchLabelKeys=["version"])], {"z1"}),
    ],
    ids=[
        "empty", "full zone", "skew 2", "three zones", "three zones skew 2", "too few domains",
        "few domains, empty one", "selects others", "two constraints", "soft", "unreadable selector",
        "match label keys",
    ],
)  # fmt: skip
def test_filter(counts: tuple[int, ...], constraints: list[Object], expected: set[str]) -> None:
    assert passing(PodTopologySpread(), web("p", *constraints), zones(*counts)) == expected


def test_reasons() -> None:
    nodes = zones(1, 0)
    pod = web("p", constraint())
    assert reasons(PodTopologySpread(), pod, nodes) == {
        MISMATCH: {"z0"},
        f"{MISMATCH} (missing required label)": {"bare"},
    }
    assert resolvable(PodTopologySpread(), pod, nodes) == {"z0"}


def test_nodes_out_of_the_pods_reach_are_no_domains() -> None:
    nodes = zones(1, 1, 0)
    pod = web("p", constraint(), nodeSelector={"kubernetes.io/hostname": "z0"})
    assert "z0" in passing(PodTopologySpread(), pod, nodes)
    ignoring = web("p", constraint(nodeAffinityPolicy="Ignore"), nodeSelector={HOSTNAME: "z0"})
    assert "z0" not in passing(PodTopologySpread(), ignoring, nodes)


def test_tainted_nodes_are_domains_unless_told_otherwise() -> None:
    nodes = zones(1, 0)
    nodes.set_node(node("z1", labels={ZONE: "z1"}, taints=["k:NoSchedule"]))
    assert passing(PodTopologySpread(), web("p", constraint()), nodes) == {"z1"}
    honoring = web("p", constraint(nodeTaintsPolicy="Honor"))
    assert passing(PodTopologySpread(), honoring, nodes) == {"z0", "z1"}


def test_pods_of_one_owner_are_spread_over_nodes() -> None:
    nodes = snapshot(node("a"), node("b"), node("c"))
    place(nodes, "a", info("x", owner="rs"), info("y", owner="rs"))
    place(nodes, "b", info("z", owner="other"))
    # a: 2 · ln(3 + 2) + 2 = 5.2 → 5; b, c: 2. So a gets 100 · (5 + 2 - 5) / 5 = 40.
    assert scores(PodTopologySpread(), info(owner="rs"), nodes) == {"a": 40, "b": 100, "c": 100}
    assert scores(PodTopologySpread(), info(), nodes) is None


def test_pods_of_one_owner_are_spread_over_zones() -> None:
    nodes = snapshot(*(node(name, labels={ZONE: name[0]}) for name in ("x1", "x2", "y1", "y2")))
    place(nodes, "x1", *(info(f"p{n}", owner="rs") for n in range(4)))
    found = scores(PodTopologySpread(), info(owner="rs"), nodes)
    assert found is not None
    assert found["x1"] < found["x2"] < found["y1"] == found["y2"] == 100


def test_soft_constraints_leave_out_nodes_without_the_label() -> None:
    nodes = zones(2, 0)
    # z0: 2 · ln(2 + 2) + 0 = 2.8 → 3, z1: 0.
    assert scores(PodTopologySpread(), web("p", constraint(soft=True)), nodes) == {
        "z0": 0,
        "z1": 100,
        "bare": 0,
    }
    empty = zones(0, 0)
    assert scores(PodTopologySpread(), web("p", constraint(soft=True)), empty) == {
        "z0": 100,
        "z1": 100,
        "bare": 0,
    }
