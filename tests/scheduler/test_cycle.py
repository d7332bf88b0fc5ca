from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from podium.scheduler.cycle import Misfit, Placement, decide, scores
from podium.scheduler.framework import Profile, normalized
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.profile import default_profile
from podium.scheduler.snapshot import Mask, Snapshot, Vector
from tests.scheduler.builders import info, node, place, snapshot


def decided(pod: PodInfo, nodes: Snapshot, *, seed: int = 1) -> Placement | Misfit:
    return decide(pod, nodes, default_profile(), Random(seed))


def chosen(pod: PodInfo, nodes: Snapshot, *, seed: int = 1) -> str:
    decision = decided(pod, nodes, seed=seed)
    assert isinstance(decision, Placement), decision
    return decision.node_name


def message(pod: PodInfo, nodes: Snapshot) -> str:
    decision = decided(pod, nodes)
    assert isinstance(decision, Misfit), decision
    return decision.message


def test_no_nodes() -> None:
    assert decided(info(), Snapshot()) == Misfit(
        message="no nodes available to schedule pods", plugins=frozenset()
    )
    nodes = snapshot(node("a"))
    nodes.remove_node("a")
    assert message(info(), nodes) == "no nodes available to schedule pods"


def test_the_only_node_that_fits() -> None:
    nodes = snapshot(node("small", cpu="1"), node("large", cpu="8"), node("gone", cpu="64"))
    nodes.remove_node("gone")
    assert chosen(info(requests={"cpu": "2"}), nodes) == "large"


def test_the_emptiest_node_wins() -> None:
    nodes = snapshot(node("busy"), node("idle"))
    place(nodes, "busy", info("x", requests={"cpu": "2", "memory": "4Gi"}))
    assert {chosen(info(), nodes, seed=seed) for seed in range(20)} == {"idle"}


def test_equals_are_chosen_among_at_random_and_repeatably() -> None:
    nodes = snapshot(*(node(f"n{i}") for i in range(4)))
    found = Counter(chosen(info(), nodes, seed=seed) for seed in range(400))
    assert len(found) == 4
    assert min(found.values()) > 60
    assert chosen(info(), nodes, seed=5) == chosen(info(), nodes, seed=5)


def test_weights_count() -> None:
    class Likes:
        def __init__(self, name: str, weight: int, node_name: str) -> None:
            self.name, self.weight, self.node_name = name, weight, node_name

        def score(self, pod: PodInfo, nodes: Snapshot, feasible: Mask) -> Vector:
            return np.array([100 if name == self.node_name else 0 for name in nodes.names])

    nodes = snapshot(node("a"), node("b"))
    profile = Profile(scores=(Likes("x", 2, "a"), Likes("y", 3, "b")))
    assert scores(info(), nodes, profile, nodes.valid).tolist() == [200, 300]
    assert decide(info(), nodes, profile, Random()) == Placement(node_name="b")


def test_why_nothing_fits() -> None:
    nodes = snapshot(node("tainted", taints=["key=value:NoSchedule"]), node("b"), node("c"))
    for name in ("b", "c"):
        place(nodes, name, info(f"on-{name}", requests={"cpu": "4"}))
    assert message(info(requests={"cpu": "1"}), nodes) == (
        "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
        "preemption: 0/3 nodes are available: 1 Preemption is not helpful for scheduling, "
        "2 No preemption victims found for incoming pod."
    )


def test_a_node_counts_with_the_first_plugin_but_all_its_reasons() -> None:
    nodes = snapshot(
        node("cordoned", unschedulable=True, taints=["k:NoSchedule"], cpu="1"),
        node("small", cpu="1", memory="1Gi"),
    )
    decision = decided(info(requests={"cpu": "2", "memory": "2Gi"}), nodes)
    assert decision == Misfit(
        message=(
            "0/2 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, "
            "1 node(s) were unschedulable. "
            "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        ),
        plugins=frozenset(("NodeUnschedulable", "NodeResourcesFit")),
    )


def test_reasons_are_sorted_as_texts() -> None:
    nodes = snapshot(
        *(node(f"a{i}", cpu="1") for i in range(10)), *(node(f"b{i}", unschedulable=True) for i in range(2))
    )
    assert message(info(requests={"cpu": "2"}), nodes).startswith(
        "0/12 nodes are available: 10 Insufficient cpu, 2 node(s) were unschedulable. preemption: "
    )


def test_a_pod_that_never_preempts() -> None:
    nodes = snapshot(node("a", cpu="1"))
    pod = info(requests={"cpu": "2"}, preemptionPolicy="Never")
    assert message(pod, nodes) == (
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    )


def test_a_pod_of_a_daemon_set_names_its_node() -> None:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    pod = info(affinity={"nodeAffinity": affinity}, requests={"cpu": "1"})
    nodes = snapshot(node("a", taints=["k:NoSchedule"]), node("b"), node("c"))
    assert chosen(pod, nodes) == "b"
    place(nodes, "b", info("x", requests={"cpu": "4"}))
    assert message(pod, nodes) == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. "
        "preemption: 0/3 nodes are available: 1 No preemption victims found for incoming pod, "
        "2 Preemption is not helpful for scheduling."
    )


def test_a_pod_that_contradicts_itself() -> None:
    term = {
        "matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]} for name in ("a", "b")]
    }
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    assert message(info(affinity={"nodeAffinity": affinity}), snapshot(node("a"), node("b"))) == (
        "0/2 nodes are available: pod affinity terms conflict. "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )


def test_a_replica_set_ends_up_spread() -> None:
    nodes = snapshot(*(node(f"n{i}") for i in range(5)))
    random = Random(3)
    for number in range(20):
        pod = info(f"p{number}", owner="rs", requests={"cpu": "100m"})
        decision = decide(pod, nodes, default_profile(), random)
        assert isinstance(decision, Placement)
        nodes.place(pod, decision.node_name, assumed=True)
    assert nodes.pod_count.tolist() == [4] * 5


@pytest.mark.parametrize(
    ("raw", "reverse", "expected"),
    [
        ([0, 1, 3], False, [0, 33, 100]),
        ([0, 1, 3], True, [100, 67, 0]),
        ([0, 0], False, [0, 0]),
        ([0, 0], True, [100, 100]),
    ],
)
def test_normalized(raw: list[int], reverse: bool, expected: list[int]) -> None:
    scores = np.array([*raw, 999])
    feasible = np.array([*(True for _ in raw), False])
    assert normalized(scores, feasible, reverse=reverse)[:-1].tolist() == expected
