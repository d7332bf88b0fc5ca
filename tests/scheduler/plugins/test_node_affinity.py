from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.scheduler.plugins.node_affinity import NodeAffinity, NodeAffinityNames
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Snapshot
from tests.scheduler.builders import info, node, snapshot
from tests.scheduler.plugins.helpers import passing, reasons, scores


def nodes() -> Snapshot:
    return snapshot(
        node("a", labels={"zone": "x", "size": "8", "ssd": ""}),
        node("b", labels={"zone": "y", "size": "16"}),
        node("c", labels={"zone": "z", "size": "big"}),
        node("d"),
    )


def require(key: str, operator: str, *values: str) -> Object:
    return {"key": key, "operator": operator, "values": list(values)}


def required(*terms: Object, **spec: Any) -> PodInfo:
    selector = {"nodeSelectorTerms": list(terms)}
    return info(
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}, **spec
    )


def labels(*expressions: Object) -> Object:
    return {"matchExpressions": list(expressions)}


def fields(*expressions: Object) -> Object:
    return {"matchFields": list(expressions)}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({"zone": "x"}, {"a"}),
        ({"zone": "x", "size": "8"}, {"a"}),
        ({"zone": "x", "size": "16"}, set[str]()),
        ({"zone": "nowhere"}, set[str]()),
        ({"unheard": "of"}, set[str]()),
        ({"ssd": ""}, {"a"}),
    ],
    ids=str,
)
def test_node_selector(selector: dict[str, str], expected: set[str]) -> None:
    assert passing(NodeAffinity(), info(nodeSelector=selector), nodes()) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (require("zone", "In", "x", "z", "nowhere"), {"a", "c"}),
        (require("zone", "In", "nowhere"), set[str]()),
        (require("unheard", "In", "of"), set[str]()),
        (require("zone", "NotIn", "x"), {"b", "c", "d"}),
        (require("unheard", "NotIn", "of"), {"a", "b", "c", "d"}),
        (require("zone", "Exists"), {"a", "b", "c"}),
        (require("ssd", "Exists"), {"a"}),
        (require("ssd", "DoesNotExist"), {"b", "c", "d"}),
        (require("unheard", "DoesNotExist"), {"a", "b", "c", "d"}),
        (require("size", "Gt", "8"), {"b"}),
        (require("size", "Gt", "7"), {"a", "b"}),
        (require("size", "Lt", "16"), {"a"}),
        (require("unheard", "Lt", "16"), set[str]()),
        (require("zone", "Gt", "1"), set[str]()),
        # What upstream cannot parse matches nothing.
        (require("size", "Gt", "many"), set[str]()),
        (require("size", "Gt", "1", "2"), set[str]()),
        (require("size", "Gt"), set[str]()),
        (require("zone", "In"), set[str]()),
        (require("zone", "NotIn"), set[str]()),
        (require("zone", "Exists", "x"), set[str]()),
        (require("zone", "Near", "x"), set[str]()),
    ],
    ids=lambda value: " ".join((value["key"], value["operator"], *value["values"])) if "key" in value else "",
)
def test_operators(expression: Object, expected: set[str]) -> None:
    assert passing(NodeAffinity(), required(labels(expression)), nodes()) == expected


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        pytest.param(
            [labels(require("zone", "In", "x")), labels(require("zone", "In", "y"))], {"a", "b"}, id="or"
        ),
        pytest.param(
            [labels(require("zone", "Exists"), require("size", "Gt", "8"))], {"b"}, id="and within a term"
        ),
        pytest.param([], set[str](), id="no terms"),
        pytest.param([{}], set[str](), id="an empty term"),
        pytest.param(
            [labels(require("size", "Gt", "many")), labels(require("zone", "In", "y"))],
            {"b"},
            id="a bad term beside a good one",
        ),
        pytest.param(
            [{**labels(require("zone", "Exists")), **fields(require("metadata.name", "NotIn", "a"))}],
            {"b", "c"},
            id="fields too",
        ),
        pytest.param(
            [fields(require("metadata.name", "In", "a")), labels(require("zone", "In", "y"))],
            {"a", "b"},
            id="a name or a label",
        ),
        pytest.param([fields(require("spec.color", "In", "a"))], set[str](), id="an unknown field"),
    ],
)
def test_terms(terms: list[Object], expected: set[str]) -> None:
    assert passing(NodeAffinity(), required(*terms), nodes()) == expected


def test_selector_and_affinity_must_both_hold() -> None:
    pod = required(labels(require("zone", "In", "x", "y")), nodeSelector={"size": "16"})
    assert passing(NodeAffinity(), pod, nodes()) == {"b"}
    assert reasons(NodeAffinity(), pod, nodes()) == {
        "node(s) didn't match Pod's node affinity/selector": {"a", "c", "d"}
    }


def test_nothing_to_say_without_affinity() -> None:
    assert NodeAffinity().filter(info(), nodes()) is None
    assert NodeAffinityNames().filter(info(), nodes()) is None
    assert scores(NodeAffinity(), info(), nodes()) is None


def test_names_are_looked_at_first() -> None:
    pod = required(fields(require("metadata.name", "In", "b")))
    assert passing(NodeAffinityNames(), pod, nodes()) == {"b"}
    assert reasons(NodeAffinityNames(), pod, nodes()) == {
        "node(s) didn't satisfy plugin(s) [NodeAffinity]": {"a", "c", "d"}
    }
    either = required(fields(require("metadata.name", "In", "b")), labels(require("zone", "Exists")))
    assert NodeAffinityNames().filter(either, nodes()) is None, "another term names no node"


def test_names_that_contradict_each_other() -> None:
    pod = required(fields(require("metadata.name", "In", "a"), require("metadata.name", "In", "b")))
    made = nodes()
    mask = NodeAffinityNames().filter(pod, made)
    assert mask is not None
    assert not mask.any()
    assert NodeAffinityNames().explain(pod, made, made.valid).whole_pod == "pod affinity terms conflict"


def test_score_adds_the_weights_of_preferences() -> None:
    def preference(weight: int, term: Object) -> Object:
        return {"weight": weight, "preference": term}

    terms = [
        preference(30, labels(require("zone", "In", "x", "y"))),
        preference(10, labels(require("size", "Gt", "8"))),
        preference(50, {}),
    ]
    pod = info(affinity={"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}})
    assert scores(NodeAffinity(), pod, nodes()) == {"a": 75, "b": 100, "c": 0, "d": 0}
