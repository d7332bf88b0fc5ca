from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from podium.machinery.errors import Object
from podium.scheduler.interner import NOTHING, Interner
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Snapshot, Taint
from tests.scheduler.builders import info, node, place, snapshot


@dataclass(frozen=True)
class App:
    namespace: str
    app: str
    owner_uid: str = ""

    def has(self, pod: PodInfo) -> bool:
        return pod.labels.get("app") == self.app


def column(nodes: Snapshot, name: str, resource: str = "cpu") -> tuple[int, int, int]:
    """Return (allocatable, requested, pods) of one node."""
    row = nodes.row(name)
    assert row is not None
    allocatable, requested = nodes.allocatable(resource), nodes.requested(resource)
    assert allocatable is not None
    assert requested is not None
    return int(allocatable[row]), int(requested[row]), int(nodes.pod_count[row])


def test_interner_reuses_numbers() -> None:
    interner: Interner[str] = Interner()
    a, b = interner.acquire("a"), interner.acquire("b")
    assert (a, b, interner.acquire("a")) == (1, 2, 1)
    interner.release(a)
    assert interner.find("a") == a, "still in use once"
    interner.release(a)
    assert interner.find("a") == NOTHING
    assert interner.acquire("c") == a
    assert dict(interner.items()) == {1: "c", 2: "b"}
    assert (len(interner), interner.size) == (2, 3)


def test_pods_are_added_up_and_taken_off() -> None:
    nodes = snapshot(node("a"), node("b"))
    place(nodes, "a", info("p", requests={"cpu": "1"}), info("q", requests={"cpu": "500m"}))
    assert column(nodes, "a") == (4000, 1500, 2)
    assert nodes.remove_pod("uid-p")
    assert not nodes.remove_pod("uid-p")
    assert column(nodes, "a") == (4000, 500, 1)
    assert column(nodes, "b") == (4000, 0, 0)


def test_a_pod_may_come_before_its_node_and_outlive_it() -> None:
    nodes = Snapshot()
    place(nodes, "a", info("p", requests={"cpu": "1"}))
    assert len(nodes) == 0
    nodes.set_node(node("a"))
    assert column(nodes, "a") == (4000, 1000, 1)
    nodes.remove_node("a")
    assert len(nodes) == 0
    nodes.set_node(node("other"))
    assert column(nodes, "other") == (4000, 0, 0), "the row is used again, and clean"
    nodes.set_node(node("a", cpu="2"))
    assert column(nodes, "a") == (2000, 1000, 1)


def test_the_news_of_an_assumed_pod_changes_nothing() -> None:
    nodes = snapshot(node("a"), node("b"))
    assumed = info("p", requests={"cpu": "1"})
    assert nodes.place(assumed, "a", assumed=True)
    assert nodes.is_assumed("uid-p")
    assert not nodes.place(info("p", requests={"cpu": "1"}, nodeName="a"), "a")
    assert not nodes.is_assumed("uid-p")
    assert nodes.has_pod("uid-p")
    assert column(nodes, "a") == (4000, 1000, 1)


def test_an_assumption_that_turned_out_wrong_is_corrected() -> None:
    nodes = snapshot(node("a"), node("b"))
    nodes.place(info("p", requests={"cpu": "1"}), "a", assumed=True)
    assert nodes.place(info("p", requests={"cpu": "1"}), "b")
    assert (column(nodes, "a"), column(nodes, "b")) == ((4000, 0, 0), (4000, 1000, 1))


def test_a_changed_request_is_taken_over() -> None:
    nodes = snapshot(node("a"))
    place(nodes, "a", info("p", requests={"cpu": "1"}))
    assert nodes.place(info("p", requests={"cpu": "2"}), "a")
    assert column(nodes, "a") == (4000, 2000, 1)


def test_extended_resources_get_their_column_when_seen_first() -> None:
    nodes = snapshot(node("a"))
    assert nodes.allocatable("example.com/gpu") is None
    nodes.set_node(node("b", extra={"example.com/gpu": "2"}))
    place(nodes, "a", info("p", requests={"example.com/gpu": "1"}))
    assert column(nodes, "b", "example.com/gpu") == (2, 0, 0)
    assert column(nodes, "a", "example.com/gpu") == (0, 1, 1)


def test_labels_are_columns_of_interned_values() -> None:
    nodes = snapshot(
        node("a", labels={"zone": "x"}), node("b", labels={"zone": "y"}), node("c", labels={"zone": "x"})
    )
    zone = nodes.label("zone")
    assert zone is not None
    assert zone[0] == zone[2] != zone[1]
    nodes.set_node(node("c"))
    assert zone[2] == NOTHING
    nodes.remove_node("a")
    nodes.remove_node("b")
    assert nodes.label("zone") is None, "a label that no node has takes no space"


def test_equal_taints_share_a_number() -> None:
    nodes = snapshot(
        node("a", taints=["k=v:NoSchedule", "l:NoExecute"]),
        node("b", taints=["l:NoExecute", "k=v:NoSchedule"]),
        node("c"),
    )
    assert nodes.taints[0] == nodes.taints[1] != NOTHING == nodes.taints[2]
    assert len(nodes.taint_sets) == 1
    assert dict(nodes.taint_sets.items())[1] == (Taint("k", "v", "NoSchedule"), Taint("l", "", "NoExecute"))
    nodes.set_node(node("a"))
    nodes.remove_node("b")
    assert len(nodes.taint_sets) == 0


def test_ports_in_use() -> None:
    nodes = snapshot(node("a"))
    container = {"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}
    place(nodes, "a", info("p", containers=[container]))
    assert list(nodes.port_users("TCP", 80)) == [(0, "0.0.0.0")]
    assert list(nodes.port_users("UDP", 80)) == []
    nodes.remove_pod("uid-p")
    assert list(nodes.port_users("TCP", 80)) == []


def test_counts_of_a_group_follow_its_pods() -> None:
    nodes = snapshot(node("a"), node("b"))
    place(nodes, "a", info("p", labels={"app": "x"}), info("q", labels={"app": "y"}))
    group = App("default", "x")
    assert nodes.counts(group).tolist() == [1, 0]
    place(nodes, "b", info("r", labels={"app": "x"}), info("s", labels={"app": "x"}, namespace="other"))
    assert nodes.counts(group).tolist() == [1, 1]
    place(nodes, "b", info("r", labels={"app": "x"}, deleting=True))
    assert nodes.counts(group).tolist() == [1, 0], "what is being deleted does not count"
    nodes.remove_pod("uid-p")
    assert nodes.counts(group).tolist() == [0, 0]


def test_a_random_history_ends_like_a_fresh_start() -> None:
    """Incremental upkeep must agree with reading everything anew, also past several doublings."""
    chance = random.Random(7)
    nodes = Snapshot()
    living: dict[str, Object] = {}
    pods: dict[str, tuple[PodInfo, str]] = {}
    group = App("default", "x")
    for step in range(3000):
        name = f"n{chance.randrange(300)}"
        match chance.randrange(4):
            case 0 | 1 if chance.random() < 0.6:
                labels = {chance.choice("klm"): chance.choice("123") for _ in range(2)}
                taints = [f"t={chance.choice('12')}:NoSchedule"] if chance.random() < 0.3 else None
                living[name] = node(name, cpu=str(chance.randrange(1, 9)), labels=labels, taints=taints)
                nodes.set_node(living[name])
            case 1:
                living.pop(name, None)
                nodes.remove_node(name)
            case 2:
                one = info(
                    f"p{chance.randrange(500)}",
                    requests={"cpu": f"{step % 900}m"},
                    labels={"app": chance.choice("xy")},
                    deleting=chance.random() < 0.1,
                )
                pods[one.uid] = (one, name)
                nodes.place(one, name)
            case _:
                uid = f"uid-p{chance.randrange(500)}"
                pods.pop(uid, None)
                nodes.remove_pod(uid)
        if step % 500 == 0:
            nodes.counts(group)
    assert len(nodes) == len(living) > 64
    fresh = snapshot(*living.values())
    for one, name in pods.values():
        fresh.place(one, name)
    for name in living:
        assert column(nodes, name) == column(fresh, name)
        row, other = nodes.row(name), fresh.row(name)
        assert row is not None
        assert other is not None
        assert nodes.counts(group)[row] == fresh.counts(group)[other]
        assert nodes.scoring_requested[:, row].tolist() == fresh.scoring_requested[:, other].tolist()
        assert label_texts(nodes, row) == label_texts(fresh, other)
        assert taint_set(nodes, row) == taint_set(fresh, other)
    free = [row for row, valid in enumerate(nodes.valid) if not valid]
    assert free
    assert not any(nodes.pod_count[free])
    assert Counter(nodes.names)[""] == len(free)


def taint_set(nodes: Snapshot, row: int) -> tuple[Taint, ...] | None:
    return dict(nodes.taint_sets.items()).get(int(nodes.taints[row]))


def label_texts(nodes: Snapshot, row: int) -> dict[str, str]:
    found = {}
    for key in "klm":
        numbers = nodes.label(key)
        if numbers is not None and numbers[row] != NOTHING:
            found[key] = dict(nodes.label_values(key).items())[int(numbers[row])]
    return found
