from __future__ import annotations

import pytest

from podium.machinery.errors import Object
from podium.scheduler.plugins.taint_toleration import TaintToleration
from podium.scheduler.plugins.tolerations import tolerates
from podium.scheduler.snapshot import Taint
from tests.scheduler.builders import info, node, snapshot
from tests.scheduler.plugins.helpers import passing, reasons, resolvable, scores

TAINT = Taint("k", "v", "NoSchedule")


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"key": "k", "value": "v", "effect": "NoSchedule"}, True),
        ({"key": "k", "operator": "Equal", "value": "v"}, True),
        ({"key": "k", "operator": "Equal", "value": "w"}, False),
        ({"key": "k", "value": "v", "effect": "NoExecute"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "l", "operator": "Exists"}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "k"}, False),
        ({}, False),
        ({"key": "k", "operator": "Unheard", "value": "v"}, False),
    ],
    ids=str,
)
def test_tolerates(toleration: Object, expected: bool) -> None:
    assert tolerates(toleration, TAINT) is expected


def test_a_taint_without_a_value_is_met_by_a_toleration_without_one() -> None:
    assert tolerates({"key": "k"}, Taint("k", "", "NoSchedule"))


NODES = (
    node("clean"),
    node("sched", taints=["k=v:NoSchedule"]),
    node("exec", taints=["k=v:NoExecute"]),
    node("prefer", taints=["k=v:PreferNoSchedule"]),
    node("two", taints=["k=v:NoSchedule", "l:NoSchedule"]),
)


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        ([], {"clean", "prefer"}),
        ([{"key": "k", "value": "v"}], {"clean", "prefer", "sched", "exec"}),
        ([{"key": "k", "value": "v", "effect": "NoSchedule"}], {"clean", "prefer", "sched"}),
        (
            [{"key": "k", "operator": "Exists"}, {"key": "l", "operator": "Exists"}],
            {"clean", "prefer", "sched", "exec", "two"},
        ),
    ],
    ids=["none", "one taint", "one effect", "all"],
)
def test_filter(tolerations: list[Object], expected: set[str]) -> None:
    assert passing(TaintToleration(), info(tolerations=tolerations), snapshot(*NODES)) == expected


def test_reasons() -> None:
    nodes = snapshot(*NODES)
    assert reasons(TaintToleration(), info(), nodes) == {
        "node(s) had untolerated taint(s)": {"sched", "exec", "two"}
    }
    assert resolvable(TaintToleration(), info(), nodes) == set()


def test_nothing_to_say_without_taints() -> None:
    nodes = snapshot(node("a"))
    assert TaintToleration().filter(info(), nodes) is None
    assert scores(TaintToleration(), info(), nodes) is None


def test_score_counts_what_is_only_disliked() -> None:
    nodes = snapshot(
        node("none"),
        node("one", taints=["a:PreferNoSchedule"]),
        node("three", taints=["a:PreferNoSchedule", "b:PreferNoSchedule", "c:PreferNoSchedule"]),
        node("hard", taints=["a:NoSchedule"]),
    )
    assert scores(TaintToleration(), info(), nodes) == {"none": 100, "one": 67, "three": 0, "hard": 100}
    tolerant = info(tolerations=[{"key": "a", "operator": "Exists"}])
    assert scores(TaintToleration(), tolerant, nodes) == {"none": 100, "one": 100, "three": 0, "hard": 100}
    # A toleration of another effect is none for this one.
    other = info(tolerations=[{"operator": "Exists", "effect": "NoSchedule"}])
    assert scores(TaintToleration(), other, nodes) == {"none": 100, "one": 67, "three": 0, "hard": 100}
