from __future__ import annotations

import pytest

from podium.scheduler.plugins.node_resources_fit import NodeResourcesFit
from podium.scheduler.snapshot import Snapshot
from tests.scheduler.builders import info, node, place, snapshot
from tests.scheduler.plugins.helpers import passing, reasons, resolvable, scores

GPU = "example.com/gpu"


def nodes() -> Snapshot:
    """`full` has 1 CPU and 1Gi left of 4 and 8Gi, `small` is empty with 1 and 1Gi, `gpu` has two GPUs."""
    made = snapshot(
        node("full"),
        node("small", cpu="1", memory="1Gi"),
        node("gpu", cpu="8", memory="16Gi", extra={GPU: "2", "ephemeral-storage": "10Gi"}),
        node("crowded", cpu="8", memory="16Gi", pods="1"),
    )
    place(made, "full", info("x", requests={"cpu": "3", "memory": "7Gi"}))
    place(made, "crowded", info("y"))
    return made


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ({}, {"full", "small", "gpu"}),
        ({"cpu": "1"}, {"full", "small", "gpu"}),
        ({"cpu": "1001m"}, {"gpu"}),
        ({"memory": "1Gi"}, {"full", "small", "gpu"}),
        ({"memory": "1025Mi"}, {"gpu"}),
        ({"cpu": "9"}, set[str]()),
        ({GPU: "2"}, {"gpu"}),
        ({GPU: "3"}, set[str]()),
        ({"example.com/unheard": "1"}, set[str]()),
        ({"example.com/unheard": "0"}, {"full", "small", "gpu"}),
        ({"ephemeral-storage": "10Gi"}, {"gpu"}),
    ],
    ids=str,
)
def test_filter(requests: dict[str, str], expected: set[str]) -> None:
    assert passing(NodeResourcesFit(), info(requests=requests), nodes()) == expected


def test_every_shortage_is_named() -> None:
    pod = info(requests={"cpu": "2", "memory": "2Gi", GPU: "1", "example.com/unheard": "1"})
    assert reasons(NodeResourcesFit(), pod, nodes()) == {
        "Too many pods": {"crowded"},
        "Insufficient cpu": {"full", "small"},
        "Insufficient memory": {"full", "small"},
        f"Insufficient {GPU}": {"full", "small", "crowded"},
        "Insufficient example.com/unheard": {"full", "small", "crowded", "gpu"},
    }


def test_where_other_pods_are_in_the_way() -> None:
    assert resolvable(NodeResourcesFit(), info(requests={"cpu": "2"}), nodes()) == {"full", "crowded"}
    assert resolvable(NodeResourcesFit(), info(requests={"cpu": "9"}), nodes()) == set()


def test_a_node_that_does_not_say_how_many_pods_it_takes_takes_none() -> None:
    made = snapshot({"metadata": {"name": "new"}, "spec": {}, "status": {}})
    assert reasons(NodeResourcesFit(), info(), made) == {"Too many pods": {"new"}}


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        # By hand: half of (free CPU after / CPU + free memory after / memory), each in hundredths cut off.
        ({"cpu": "1", "memory": "1Gi"}, {"empty": (75 + 87) // 2, "used": (50 + 50) // 2, "tiny": 0}),
        ({"cpu": "2", "memory": "2Gi"}, {"empty": (50 + 75) // 2, "used": (25 + 37) // 2, "tiny": 0}),
        ({}, {"empty": (97 + 97) // 2, "used": (72 + 60) // 2, "tiny": (90 + 80) // 2}),
    ],
    ids=["one", "two", "nothing asked for counts as a little"],
)
def test_score(requests: dict[str, str], expected: dict[str, int]) -> None:
    made = snapshot(node("empty"), node("used"), node("tiny", cpu="1", memory="1Gi"))
    place(made, "used", info("x", requests={"cpu": "1", "memory": "3Gi"}))
    assert scores(NodeResourcesFit(), info(requests=requests), made) == expected


def test_score_by_what_the_node_tells() -> None:
    made = snapshot({"metadata": {"name": "a"}, "spec": {}, "status": {"allocatable": {"cpu": "4"}}})
    assert scores(NodeResourcesFit(), info(requests={"cpu": "1"}), made) == {"a": 75}
