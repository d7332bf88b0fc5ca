"""Several nodes on one machine, real and simulated, beside another cluster."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.conftest import ROOT, RunningCluster, build_and_load, running_cluster, until
from tests.e2e.test_transcript import answer

pytestmark = pytest.mark.e2e

NS = ("-n", "hello")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    work = tmp_path_factory.mktemp("nodes")
    with running_cluster(work, "--nodes=2") as running:
        build_and_load(running, work, "1")
        yield running


def pods_by_node(cluster: RunningCluster) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pod in cluster.get("pods", *NS)["items"]:
        found.setdefault(pod["spec"].get("nodeName", ""), []).append(pod["metadata"]["name"])
    return found


def test_pods_spread_over_nodes_and_reach_each_other(nodes: RunningCluster) -> None:
    nodes.kubectl("apply", "-f", str(ROOT / "examples" / "hello"))
    nodes.kubectl("scale", *NS, "deploy/hello", "--replicas=4")
    nodes.kubectl("rollout", "status", *NS, "deploy/hello", "--timeout=90s")
    placed = pods_by_node(nodes)
    assert sorted(len(names) for names in placed.values()) == [2, 2]
    everyone = {name for names in placed.values() for name in names}

    address = nodes.get("service", "hello", *NS)["spec"]["clusterIP"]

    def seen(text: str) -> set[str]:
        return set(re.findall(r"hello-\S+", text))

    # Each node's proxy learns of the pods in its own time.
    def from_here() -> bool:
        return seen("".join(answer(f"http://{address}/") for _ in range(80))) == everyone

    until(from_here, "every pod, asked from this machine")

    def from_pod(name: str) -> bool:
        script = "for i in $(seq 40); do wget -qO- http://hello.hello/; done"
        return seen(nodes.kubectl("exec", *NS, name, "--", "sh", "-c", script, check=False)) == everyone

    for names in placed.values():
        until(partial(from_pod, names[0]), "every pod, asked from a pod")
        assert "listening" in nodes.kubectl("logs", *NS, names[0])


def test_a_drained_node_hands_its_pods_over(nodes: RunningCluster) -> None:
    first, second = sorted(pods_by_node(nodes))
    nodes.kubectl("drain", second, "--ignore-daemonsets", "--timeout=90s")
    nodes.kubectl("rollout", "status", *NS, "deploy/hello", "--timeout=90s")
    until(lambda: set(pods_by_node(nodes)) == {first}, "all pods on the other node")
    assert "SchedulingDisabled" in nodes.kubectl("get", "node", second)
    nodes.kubectl("uncordon", second)


def test_down_removes_the_nodes_network(nodes: RunningCluster) -> None:
    nodes.podium("down")
    listed = [
        subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout
        for words in (["netns", "list"], ["-brief", "link"], ["route"])
    ]
    slot = re.findall(r'"slot": (\d+)', (nodes.state_dir / "cluster.json").read_text())[0]
    assert not re.search(rf"podium-{slot}-|podium{slot}\b|pdm{slot}n", "".join(listed))


def test_simulated_nodes_make_pods_ready_without_containers(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_cluster(tmp_path_factory.mktemp("simulated"), "--simulate=3") as cluster:
        assert len(cluster.get("nodes")["items"]) == 3
        cluster.kubectl("create", "deployment", "web", "--image=example.org/web:1", "--replicas=30")
        cluster.kubectl("rollout", "status", "deploy/web", "--timeout=60s")
        assert "simulated" in cluster.kubectl("logs", "deploy/web")
        cluster.kubectl("delete", "deployment", "web")
        until(lambda: not cluster.get("pods")["items"], "no pods")


def test_a_control_plane_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_cluster(tmp_path_factory.mktemp("alone"), "--nodes=0") as cluster:
        assert cluster.get("nodes")["items"] == []
        cluster.kubectl("create", "configmap", "a", "--from-literal=k=v")
        # Started anew, it is empty.
        cluster.podium("up", "--nodes=0", "--fresh")
        assert "NotFound" in cluster.kubectl("get", "configmap", "a", check=False)
