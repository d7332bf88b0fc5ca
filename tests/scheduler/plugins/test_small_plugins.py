"""NodeName, NodeUnschedulable, NodePorts."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.scheduler.plugins.node_name import NodeName
from podium.scheduler.plugins.node_ports import NodePorts
from podium.scheduler.plugins.node_unschedulable import NodeUnschedulable
from tests.scheduler.builders import info, node, place, snapshot
from tests.scheduler.plugins.helpers import passing, reasons, resolvable


@pytest.mark.parametrize(
    ("name", "expected"), [("", {"a", "b"}), ("b", {"b"}), ("elsewhere", set[str]())], ids=str
)
def test_node_name(name: str, expected: set[str]) -> None:
    nodes = snapshot(node("a"), node("b"))
    assert passing(NodeName(), info(nodeName=name), nodes) == expected


def test_node_name_says_why() -> None:
    nodes = snapshot(node("a"), node("b"))
    assert reasons(NodeName(), info(nodeName="b"), nodes) == {
        "node(s) didn't match the requested node name": {"a"}
    }


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        ([], {"a"}),
        ([{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}], {"a", "b"}),
        ([{"operator": "Exists"}], {"a", "b"}),
        (
            [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists", "effect": "NoExecute"}],
            {"a"},
        ),
    ],
    ids=["none", "that one", "all", "another effect"],
)
def test_node_unschedulable(tolerations: list[Object], expected: set[str]) -> None:
    nodes = snapshot(node("a"), node("b", unschedulable=True))
    pod = info(tolerations=tolerations)
    assert passing(NodeUnschedulable(), pod, nodes) == expected


def test_node_unschedulable_says_why() -> None:
    nodes = snapshot(node("a"), node("b", unschedulable=True))
    assert reasons(NodeUnschedulable(), info(), nodes) == {"node(s) were unschedulable": {"b"}}
    assert resolvable(NodeUnschedulable(), info(), nodes) == set()


def with_port(**port: Any) -> list[Object]:
    return [{"name": "c", "ports": [{"containerPort": 80, **port}]}]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, {"all", "one", "free"}),
        ({"hostPort": 80}, {"free"}),
        ({"hostPort": 80, "protocol": "UDP"}, {"all", "one", "free"}),
        ({"hostPort": 81}, {"all", "one", "free"}),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"free"}),
        ({"hostPort": 80, "hostIP": "10.0.0.2"}, {"one", "free"}),
    ],
    ids=str,
)
def test_node_ports(wanted: dict[str, Any], expected: set[str]) -> None:
    nodes = snapshot(node("all"), node("one"), node("free"))
    place(nodes, "all", info("x", containers=with_port(hostPort=80)))
    place(nodes, "one", info("y", containers=with_port(hostPort=80, hostIP="10.0.0.1")))
    assert passing(NodePorts(), info(containers=with_port(**wanted)), nodes) == expected


def test_node_ports_says_why() -> None:
    nodes = snapshot(node("a"))
    place(nodes, "a", info("x", containers=with_port(hostPort=80)))
    pod = info(containers=with_port(hostPort=80))
    assert reasons(NodePorts(), pod, nodes) == {
        "node(s) didn't have free ports for the requested pod ports": {"a"}
    }
    assert resolvable(NodePorts(), pod, nodes) == {"a"}
