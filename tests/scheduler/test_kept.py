from __future__ import annotations

from podium.machinery.errors import Object
from podium.scheduler.kept import kept_node, kept_pod
from podium.scheduler.pod_info import PodInfo, pod_info
from podium.scheduler.snapshot import Snapshot
from tests.scheduler.builders import container, node, pod


def placed() -> Object:
    return pod(
        "p",
        owner="rs",
        labels={"app": "a"},
        deleting=True,
        nodeName="n",
        priority=3,
        containers=[
            {
                **container("a", cpu="1"),
                "ports": [{"containerPort": 1}, {"hostPort": 2}],
                "env": [{"name": "E"}],
            },
            container("b", memory="1Gi"),
        ],
        initContainers=[{**container("s", cpu="2"), "restartPolicy": "Always"}],
        overhead={"cpu": "10m"},
        resources={"requests": {"memory": "3Gi"}},
        volumes=[{"name": "v"}],
    )


def facts(info: PodInfo) -> tuple[object, ...]:
    names = set(PodInfo.__slots__) - {"pod"}
    return tuple(getattr(info, name) for name in sorted(names))


def test_nothing_that_counts_of_a_placed_pod_is_lost() -> None:
    whole = placed()
    kept = kept_pod(whole)
    assert facts(pod_info(kept)) == facts(pod_info(whole))
    assert len(str(kept)) < len(str(whole))


def test_a_waiting_pod_is_kept_whole() -> None:
    waiting = pod("p", volumes=[{"name": "v"}])
    assert kept_pod(waiting) is waiting


def test_nothing_that_counts_of_a_node_is_lost() -> None:
    whole = node("n", labels={"a": "b"}, taints=["k:NoSchedule"], unschedulable=True)
    whole["status"]["images"] = [{"names": ["large"]}]
    snapshots = Snapshot(), Snapshot()
    for made, one in zip(snapshots, (whole, kept_node(whole)), strict=True):
        made.set_node(one)
    first, second = snapshots
    for column in ("valid", "unschedulable", "pods_max", "taints"):
        assert getattr(first, column).tolist() == getattr(second, column).tolist()
    assert first.label_values("a").find("b") == second.label_values("a").find("b") == 1
    assert dict(first.taint_sets.items()) == dict(second.taint_sets.items())
    assert "images" not in kept_node(whole)["status"]
