"""The columns against a plain reading of the rules, node by node, on random clusters."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from podium.machinery import quantity
from podium.machinery.errors import Object
from podium.scheduler import cycle
from podium.scheduler.framework import Profile
from podium.scheduler.plugins.node_affinity import NodeAffinity
from podium.scheduler.plugins.node_resources_fit import NodeResourcesFit
from podium.scheduler.plugins.node_unschedulable import NodeUnschedulable
from podium.scheduler.plugins.taint_toleration import TaintToleration
from podium.scheduler.pod_info import PodInfo, pod_info
from podium.scheduler.snapshot import Snapshot
from tests.scheduler.builders import node, pod

PROFILE = Profile(
    filters=(NodeUnschedulable(), TaintToleration(), NodeAffinity(), NodeResourcesFit()),
    scores=(TaintToleration(), NodeAffinity(), NodeResourcesFit()),
)
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


def random_node(chance: Random, name: str) -> Object:
    return node(
        name,
        cpu=f"{chance.randrange(500, 8000)}m",
        memory=f"{chance.randrange(256, 16000)}Mi",
        pods=str(chance.randrange(1, 8)),
        labels={key: chance.choice(("1", "2", "x")) for key in "ab" if chance.random() < 0.7},
        taints=[
            f"{key}={chance.choice('12')}:{chance.choice(EFFECTS)}" for key in "tuv" if chance.random() < 0.25
        ],
        unschedulable=chance.random() < 0.1,
    )


def random_expression(chance: Random) -> Object:
    operator = chance.choice(OPERATORS)
    values = {"In": ["1", "x"], "NotIn": ["2"], "Gt": ["1"], "Lt": ["2"]}.get(operator, [])
    return {"key": chance.choice("abc"), "operator": operator, "values": values}


def random_pod(chance: Random, name: str) -> Object:
    def terms() -> list[Object]:
        return [
            {"matchExpressions": [random_expression(chance) for _ in range(chance.randrange(1, 3))]}
            for _ in range(chance.randrange(1, 3))
        ]

    affinity: Object = {}
    if chance.random() < 0.4:
        affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms()}
    if chance.random() < 0.4:
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = [
            {"weight": chance.randrange(1, 100), "preference": term} for term in terms()
        ]
    requests = {}
    if chance.random() < 0.8:
        requests["cpu"] = f"{chance.randrange(0, 3000)}m"
    if chance.random() < 0.8:
        requests["memory"] = f"{chance.randrange(0, 6000)}Mi"
    return pod(
        name,
        requests=requests,
        nodeSelector={"a": "1"} if chance.random() < 0.2 else {},
        affinity={"nodeAffinity": affinity},
        tolerations=[
            {"key": key, "operator": "Exists", "effect": chance.choice((*EFFECTS, ""))}
            for key in "tuv"
            if chance.random() < 0.4
        ],
    )


class PlainNode:
    def __init__(self, obj: Object) -> None:
        self.labels: dict[str, str] = obj["metadata"]["labels"]
        self.taints: list[Object] = obj["spec"].get("taints", [])
        self.cordoned: bool = obj["spec"].get("unschedulable", False)
        allocatable = obj["status"]["allocatable"]
        self.cpu = quantity.parse(allocatable["cpu"]).milli()
        self.memory = quantity.parse(allocatable["memory"]).value()
        self.pods_max = int(allocatable["pods"])
        self.pods: list[PodInfo] = []


def holds(expression: Object, labels: dict[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case operator:
            if value is None or not value.isdigit():
                return False
            limit = int(expression["values"][0])
            return int(value) > limit if operator == "Gt" else int(value) < limit


def tolerates(info: PodInfo, taint: Object) -> bool:
    return any(
        toleration["key"] == taint["key"] and toleration["effect"] in ("", taint["effect"])
        for toleration in info.spec["tolerations"]
    )


def fits(info: PodInfo, plain: PlainNode) -> bool:
    affinity = info.spec["affinity"]["nodeAffinity"]
    needed = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return (
        not plain.cordoned
        and all(taint["effect"] == "PreferNoSchedule" or tolerates(info, taint) for taint in plain.taints)
        and all(plain.labels.get(key) == value for key, value in info.spec["nodeSelector"].items())
        and (
            needed is None
            or any(
                all(holds(expression, plain.labels) for expression in term["matchExpressions"])
                for term in needed["nodeSelectorTerms"]
            )
        )
        and len(plain.pods) < plain.pods_max
        and fits_into(info, plain)
    )


def fits_into(info: PodInfo, plain: PlainNode) -> bool:
    for name, capacity in (("cpu", plain.cpu), ("memory", plain.memory)):
        wanted = info.requests.get(name, 0)
        if wanted and wanted > capacity - sum(other.requests.get(name, 0) for other in plain.pods):
            return False
    return True


def plain_scores(info: PodInfo, nodes: list[PlainNode]) -> list[int]:
    disliked = [
        sum(taint["effect"] == "PreferNoSchedule" and not tolerates(info, taint) for taint in plain.taints)
        for plain in nodes
    ]
    terms = info.spec["affinity"]["nodeAffinity"].get("preferredDuringSchedulingIgnoredDuringExecution", [])
    liked = [
        sum(
            term["weight"]
            for term in terms
            if all(holds(e, plain.labels) for e in term["preference"]["matchExpressions"])
        )
        for plain in nodes
    ]
    total = []
    for plain, dislikes, likes in zip(nodes, disliked, liked, strict=True):
        free_cpu = max(0, plain.cpu - sum(p.scoring_cpu_milli for p in (*plain.pods, info)))
        free_memory = max(0, plain.memory - sum(p.scoring_memory_bytes for p in (*plain.pods, info)))
        score = (free_cpu * 100 // plain.cpu + free_memory * 100 // plain.memory) // 2
        if max(disliked):
            score += 3 * (100 - dislikes * 100 // max(disliked))
        if max(liked):
            score += 2 * (likes * 100 // max(liked))
        total.append(score)
    return total


@pytest.mark.parametrize("seed", range(8))
def test_columns_agree_with_plain_reading(seed: int) -> None:
    chance = Random(seed)
    nodes = Snapshot()
    plain: dict[str, PlainNode] = {}
    for number in range(chance.randrange(3, 90)):
        made = random_node(chance, f"n{number}")
        nodes.set_node(made)
        plain[made["metadata"]["name"]] = PlainNode(made)
    for name in chance.sample(sorted(plain), len(plain) // 5):
        nodes.remove_node(name)
        del plain[name]
    placed = 0
    for number in range(60):
        info = pod_info(random_pod(chance, f"p{number}"))
        feasible = [name for name in plain if fits(info, plain[name])]
        decision = cycle.decide(info, nodes, PROFILE, chance)
        if not feasible:
            assert isinstance(decision, cycle.Misfit)
            continue
        assert isinstance(decision, cycle.Placement)
        expected = dict(zip(feasible, plain_scores(info, [plain[n] for n in feasible]), strict=True))
        mask = np.array([name in expected for name in nodes.names])
        assert decision.node_name in expected
        assert expected[decision.node_name] == max(expected.values())
        if len(feasible) > 1:
            # A constant for everyone, which a plugin may leave out, decides nothing.
            found = cycle.scores(info, nodes, PROFILE, mask)
            rows = {name: int(found[row]) for row, name in enumerate(nodes.names) if name in expected}
            assert len({rows[name] - expected[name] for name in feasible}) == 1
        nodes.place(info, decision.node_name, assumed=True)
        plain[decision.node_name].pods.append(info)
        placed += 1
    assert placed > 3
