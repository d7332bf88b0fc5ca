"""Decisions a second of the scheduler, as ratios to a plain loop over nodes in Python, in the same run.

    python bench/scheduler.py [--seconds 2] [--nodes 1000 5000]

Both place pods of a hundred ReplicaSets one after the other and count each as placed at once. The plain loop
looks at what is free, at taints and at the pods of the same owner, and scores as LeastAllocated and spreading
do: less than the scheduler does. Nothing here talks to an API.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from podium.machinery.errors import Object
from podium.scheduler.cycle import Placement, decide
from podium.scheduler.pod_info import PodInfo, pod_info
from podium.scheduler.profile import default_profile
from podium.scheduler.snapshot import Snapshot

OWNERS = 100
ZONES = 3


def nodes(count: int) -> Iterator[Object]:
    for number in range(count):
        name = f"node-{number}"
        spec: Object = {}
        if number % 10 == 0:
            spec["taints"] = [{"key": "dedicated", "value": "batch", "effect": "NoSchedule"}]
        yield {
            "metadata": {
                "name": name,
                "labels": {
                    "kubernetes.io/hostname": name,
                    "topology.kubernetes.io/zone": f"zone-{number % ZONES}",
                },
            },
            "spec": spec,
            "status": {"allocatable": {"cpu": "64", "memory": "256Gi", "pods": "500"}},
        }


def pods() -> Iterator[PodInfo]:
    for number in itertools.count():
        owner = f"rs-{number % OWNERS}"
        yield pod_info(
            {
                "metadata": {
                    "name": f"p-{number}",
                    "namespace": "default",
                    "uid": str(number),
                    "labels": {"app": owner},
                    "ownerReferences": [{"controller": True, "uid": owner}],
                },
                "spec": {
                    "containers": [{"resources": {"requests": {"cpu": "100m", "memory": "128Mi"}}}],
                },
            }
        )


def columnar(count: int) -> Callable[[PodInfo], None]:
    snapshot = Snapshot()
    for node in nodes(count):
        snapshot.set_node(node)
    profile, chance = default_profile(), random.Random(1)

    def place(pod: PodInfo) -> None:
        decision = decide(pod, snapshot, profile, chance)
        assert isinstance(decision, Placement)
        snapshot.place(pod, decision.node_name, assumed=True)

    return place


@dataclass(slots=True)
class Node:
    cpu: int = 64_000
    memory: int = 256 << 30
    tainted: bool = False
    used_cpu: int = 0
    used_memory: int = 0
    pods: int = 0
    owners: dict[str, int] = field(default_factory=dict)


def plain(count: int) -> Callable[[PodInfo], None]:
    every = [Node(tainted=n % 10 == 0) for n in range(count)]

    def place(pod: PodInfo) -> None:
        cpu, memory, owner = pod.requests["cpu"], pod.requests["memory"], pod.owner_uid
        best, best_score = every[0], -1
        for node in every:
            if node.tainted or node.pods >= 500:
                continue
            free_cpu, free_memory = node.cpu - node.used_cpu - cpu, node.memory - node.used_memory - memory
            if free_cpu < 0 or free_memory < 0:
                continue
            score = (free_cpu * 100 // node.cpu + free_memory * 100 // node.memory) // 2
            score -= 2 * node.owners.get(owner, 0)
            if score > best_score:
                best, best_score = node, score
        best.used_cpu += cpu
        best.used_memory += memory
        best.pods += 1
        best.owners[owner] = best.owners.get(owner, 0) + 1

    return place


def rate(place: Callable[[PodInfo], None], seconds: float) -> float:
    """Return the pods placed in a second of the process's own time, whatever else the machine does."""
    source = pods()
    made = 0
    spent = 0.0
    while spent < seconds:
        batch = list(itertools.islice(source, 100))
        start = time.process_time()
        for pod in batch:
            place(pod)
        spent += time.process_time() - start
        made += len(batch)
    return made / spent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="duration of each measurement")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1000, 5000])
    arguments = parser.parse_args()
    for count in arguments.nodes:
        base = rate(plain(count), arguments.seconds)
        found = rate(columnar(count), arguments.seconds)
        line = f"{count:6} nodes: plain loop {base:7.0f} pods/s  1.0; columns {found:7.0f} pods/s"
        print(f"{line}  {found / base:.1f}")


if __name__ == "__main__":
    main()
