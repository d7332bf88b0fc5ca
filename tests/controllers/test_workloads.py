"""DaemonSets: on which nodes, in which order, and in which revision."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from podium.controllers import daemonset
from podium.controllers.common.history import HASH, plan_history, template_of
from podium.controllers.common.node_fit import wants_node
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from tests.controllers.builders import pod, running, template, workload
from tests.runtime.fakes import FakeApi

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def node(name: str, *taints: tuple[str, str], **labels: str) -> Object:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": [{"key": key, "effect": effect} for key, effect in taints]},
    }


def expression(operator: str, *values: str) -> Object:
    term = {"matchExpressions": [{"key": "disk", "operator": operator, "values": list(values)}]}
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": affinity}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, True),
        ({"nodeName": "other"}, False),
        ({"nodeSelector": {"disk": "5"}}, True),
        ({"nodeSelector": {"disk": "6"}}, False),
        (expression("In", "4", "5"), True),
        (expression("NotIn", "5"), False),
        (expression("Exists"), True),
        (expression("DoesNotExist"), False),
        (expression("Gt", "4"), True),
        (expression("Lt", "4"), False),
    ],
)
def test_what_nodes_a_spec_wants(spec: Object, expected: bool) -> None:
    assert wants_node(spec, node("n1", disk="5")) is expected


@pytest.mark.parametrize(
    ("taints", "expected"),
    [
        ((), (True, True)),
        ((("mine", "NoSchedule"),), (False, True)),
        ((("mine", "NoExecute"),), (False, False)),
        ((("mine", "PreferNoSchedule"),), (True, True)),
        ((("node.kubernetes.io/unreachable", "NoExecute"),), (True, True)),
        ((("node.kubernetes.io/unschedulable", "NoSchedule"),), (True, True)),
    ],
)
def test_which_taints_keep_daemons_away(
    taints: tuple[tuple[str, str], ...], expected: tuple[bool, bool]
) -> None:
    assert daemonset.fits({}, node("n1", *taints)) == expected


def daemon_pods(*entries: tuple[str, str, bool]) -> list[Object]:
    """Return ready pods: (node, hash, ready)."""
    return [
        pod(f"p-{name}-{hash_}", node=name, labels={"app": "web", HASH: hash_}, ready=ready)
        for name, hash_, ready in entries
    ]


NODES_3 = [node("a"), node("b"), node("c")]


def test_one_daemon_on_each_node() -> None:
    decided = daemonset.plan(workload("DaemonSet"), daemon_pods(("a", "x", True)), NODES_3, "x", NOW)
    assert decided.create == ["b", "c"]
    assert decided.status == {
        "currentNumberScheduled": 1,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 3,
        "numberReady": 1,
        "updatedNumberScheduled": 1,
        "numberAvailable": 1,
        "observedGeneration": 1,
        "numberUnavailable": 2,
    }


def test_a_failed_daemon_is_replaced_unless_it_rests() -> None:
    failed = pod("f", node="a", phase="Failed", ready=False)
    decided = daemonset.plan(workload("DaemonSet"), [failed], [node("a")], "x", NOW)
    assert [meta.name(p) for p in decided.delete] == ["f"]
    assert daemonset.plan(workload("DaemonSet"), [failed], [node("a")], "x", NOW, {"a"}).delete == []


@pytest.mark.parametrize(
    ("rolling", "pods", "deleted", "created"),
    [
        pytest.param({}, (("a", "x", True), ("b", "x", True), ("c", "x", True)), 1, [], id="one at a time"),
        pytest.param({}, (("a", "y", False), ("b", "x", True), ("c", "x", True)), 0, [], id="wait for it"),
        pytest.param(
            {}, (("a", "y", True), ("b", "x", False), ("c", "x", True)), 1, [], id="the broken one first"
        ),
        pytest.param(
            {"maxUnavailable": "67%"},
            (("a", "x", True), ("b", "x", True), ("c", "x", True)),
            3,
            [],
            id="several",
        ),
        pytest.param(
            {"maxSurge": 1, "maxUnavailable": 0},
            (("a", "x", True), ("b", "x", True), ("c", "x", True)),
            0,
            ["a"],
            id="surge",
        ),
        pytest.param(
            {"maxSurge": 1, "maxUnavailable": 0},
            (("a", "x", True), ("a", "y", True), ("b", "x", True), ("c", "x", True)),
            1,
            ["b"],
            id="surge: the new one serves",
        ),
    ],
)
def test_daemons_are_updated(rolling: Object, pods: Any, deleted: int, created: list[str]) -> None:
    wish = workload("DaemonSet", updateStrategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    decided = daemonset.plan(wish, daemon_pods(*pods), NODES_3, "y", NOW)
    assert (len(decided.delete), decided.create) == (deleted, created)


def test_daemons_follow_nodes_and_leave_revisions() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("a"))
        api.put(DAEMONSETS, workload("DaemonSet"))
        async with running(api, [daemonset.daemonset()]):
            await api.clock.advance(1)
            (made,) = api.all(PODS)
            assert daemonset.node_of(made) == "a"
            api.put(NODES, node("b"))
            await api.clock.advance(1)
            assert sorted(daemonset.node_of(p) for p in api.all(PODS)) == ["a", "b"]
            (revision,) = api.all(CONTROLLERREVISIONS)
            assert made["metadata"]["labels"][HASH] == revision["metadata"]["labels"][HASH]
            api.change(DAEMONSETS, "default/db", lambda d: d["spec"].update(template=template(image="b")))
            await api.clock.advance(1)
            assert sorted(r["revision"] for r in api.all(CONTROLLERREVISIONS)) == [1, 2]
            api.change(DAEMONSETS, "default/db", lambda d: d["spec"].update(template=template(image="a")))
            await api.clock.advance(1)
            assert sorted(r["revision"] for r in api.all(CONTROLLERREVISIONS)) == [2, 3]

    asyncio.run(go())


def test_a_revision_holds_its_template() -> None:
    history = plan_history(workload("DaemonSet"), [])
    assert history.create is not None
    assert history.create["data"]["spec"]["template"]["$patch"] == "replace"
    assert template_of(history.create) == template()
