"""DaemonSets: on which nodes, in which order, and in which revision."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from podium.controllers.common.history import HASH, expendable, plan_history, template_of
from podium.controllers.common.node_fit import wants_node
from podium.controllers.daemonset import daemonset
from podium.controllers.daemonset_plan import fits, node_of, plan, pod_for, tolerations
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.core.events import EVENTS
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
    assert fits({}, node("n1", *taints)) == expected


def daemon_pods(*entries: tuple[str, str, bool]) -> list[Object]:
    """Return ready pods: (node, hash, ready)."""
    return [
        pod(f"p-{name}-{hash_}", node=name, labels={"app": "web", HASH: hash_}, ready=ready)
        for name, hash_, ready in entries
    ]


NODES_3 = [node("a"), node("b"), node("c")]


def test_one_daemon_on_each_node() -> None:
    decided = plan(workload("DaemonSet"), daemon_pods(("a", "x", True)), NODES_3, "x", NOW)
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
    failed = pod("f", node="a", phase="Failed", ready=False, labels={"app": "web", HASH: "x"})
    decided = plan(workload("DaemonSet"), [failed], [node("a")], "x", NOW)
    assert [meta.name(p) for p in decided.delete] == ["f"]
    assert plan(workload("DaemonSet"), [failed], [node("a")], "x", NOW, {"a"}).delete == []


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
            [],
            id="surge: the new one serves",
        ),
        pytest.param(
            {"maxSurge": 1, "maxUnavailable": 0},
            (("a", "x", False), ("a", "y", False), ("b", "x", True), ("c", "x", True)),
            1,
            [],
            id="surge: the old one serves no more",
        ),
        pytest.param(
            {"maxSurge": 1, "maxUnavailable": 0},
            (("a", "x", True), ("a", "y", False), ("b", "x", True), ("c", "x", True)),
            0,
            [],
            id="surge: wait for the new one",
        ),
        pytest.param(
            {"maxSurge": 1, "maxUnavailable": 0},
            (("a", "x", False), ("b", "x", False), ("c", "x", True)),
            0,
            ["a", "b", "c"],
            id="surge: where nothing serves there is nothing to lose",
        ),
        pytest.param(
            {},
            (("a", "x", True), ("a", "y", True), ("b", "x", True), ("c", "x", True)),
            1,
            [],
            id="two on one node first",
        ),
    ],
)
def test_daemons_are_updated(rolling: Object, pods: Any, deleted: int, created: list[str]) -> None:
    wish = workload("DaemonSet", updateStrategy={"type": "RollingUpdate", "rollingUpdate": rolling})
    decided = plan(wish, daemon_pods(*pods), NODES_3, "y", NOW)
    assert (len(decided.delete), decided.create) == (deleted, created)


def going(made: Object) -> Object:
    made["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return made


def test_of_two_on_one_node_the_one_that_got_there_first_stays() -> None:
    unplaced = daemon_pods(("b", "x", False))[0]
    unplaced["metadata"] |= {"name": "waits", "creationTimestamp": "2025-01-01T00:00:00Z"}
    unplaced["spec"] = pod_for(workload("DaemonSet"), "a", "x")["spec"]
    there = daemon_pods(("a", "y", True))
    decided = plan(workload("DaemonSet"), [unplaced, *there], [node("a")], "y", NOW)
    assert [meta.name(p) for p in decided.delete] == ["waits"]


def test_a_surging_daemon_starts_beside_the_one_that_is_going() -> None:
    pods = [going(daemon_pods(("a", "x", True))[0])]
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert plan(workload("DaemonSet", updateStrategy=surge), pods, [node("a")], "x", NOW).create == ["a"]
    assert plan(workload("DaemonSet"), pods, [node("a")], "x", NOW).create == []


def test_a_surging_daemon_leaves_a_node_when_enough_others_serve() -> None:
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    wish = workload("DaemonSet", updateStrategy=surge)
    nodes = [node("a", ("mine", "NoSchedule")), node("b")]
    both = daemon_pods(("a", "x", True), ("b", "y", True))
    assert [meta.name(p) for p in plan(wish, both, nodes, "y", NOW).delete] == ["p-a-x"]
    assert plan(wish, daemon_pods(("a", "x", True), ("b", "y", False)), nodes, "y", NOW).delete == []


def test_a_daemon_that_may_stay_is_updated_though_it_would_not_be_started() -> None:
    tainted = [node("a", ("mine", "NoSchedule"))]
    decided = plan(workload("DaemonSet"), daemon_pods(("a", "x", True)), tainted, "y", NOW)
    assert [meta.name(p) for p in decided.delete] == ["p-a-x"]
    assert decided.status["numberMisscheduled"] == 1


def test_a_pod_for_a_node_that_went_before_it_came_is_deleted() -> None:
    lost = {**daemon_pods(("a", "x", False))[0], "spec": pod_for(workload("DaemonSet"), "gone", "x")["spec"]}
    stranded = daemon_pods(("gone", "x", True))[0]  # the pod garbage collector's
    assert plan(workload("DaemonSet"), [lost, stranded], [], "x", NOW).delete == [lost]


def test_one_that_has_ended_and_is_being_deleted_is_in_nobodys_way() -> None:
    ended = going(pod("f", node="a", phase="Failed", ready=False, finalizers=["x"]))
    assert plan(workload("DaemonSet"), [ended], [node("a")], "x", NOW).create == ["a"]


def test_conditions_of_others_stay_in_the_status() -> None:
    mine = workload("DaemonSet")
    mine["status"] = {"conditions": [{"type": "Mine", "status": "True"}], "updatedNumberScheduled": 3}
    assert plan(mine, [], [], "x", NOW).status == {
        "conditions": [{"type": "Mine", "status": "True"}],
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
        "observedGeneration": 1,
    }


def test_a_pod_of_the_current_template_generation_is_updated() -> None:
    mine = workload("DaemonSet")
    mine["metadata"]["annotations"] = {"deprecated.daemonset.template.generation": "7"}
    old = daemon_pods(("a", "before-hashes", True))
    old[0]["metadata"]["labels"]["pod-template-generation"] = "7"
    decided = plan(mine, old, [node("a")], "x", NOW)
    assert (decided.delete, decided.status["updatedNumberScheduled"]) == ([], 1)


def test_no_toleration_of_the_template_ends_a_daemon_after_a_time() -> None:
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    other = {"key": "mine", "operator": "Exists"}
    made = tolerations({"tolerations": [{**own, "tolerationSeconds": 300}, other], "hostNetwork": True})
    assert made[:2] == [own, other]
    assert [t["key"].rpartition("/")[2] for t in made[2:]] == [
        "unreachable",
        "disk-pressure",
        "memory-pressure",
        "pid-pressure",
        "unschedulable",
        "network-unavailable",
    ]


def test_pods_that_fail_on_a_node_are_replaced_ever_more_slowly() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("a"))
        api.put(DAEMONSETS, workload("DaemonSet"))
        made_at = []
        api.on_write = lambda verb, resource, obj: (
            made_at.append(api.clock.monotonic_s()) if (verb, resource) == ("create", PODS) else None
        )

        def end(phase: str) -> None:
            for key in list(api.table(PODS)):
                api.change(PODS, key, lambda obj: obj.update(status={"phase": phase}))

        async with running(api, [daemonset()]):
            await api.clock.advance(1)
            for _ in range(4):
                end("Failed")
                await api.clock.advance(30)
            waits = [later - before for before, later in itertools.pairwise(made_at)]
            assert waits == [1, 30, 30, 30]
            end("Failed")
            await api.clock.advance(0.5)
            # The fifth comes within 16 s of the fourth, 30 s later; the next would have to wait.
            end("Failed")
            await api.clock.advance(14)
            assert len(made_at) == 6
            end("Succeeded")
            await api.clock.advance(1)
            told = {e["reason"]: e["message"] for e in api.all(EVENTS)}
        assert told["FailedDaemonPod"].startswith("Found failed daemon pod default/db-")
        assert told["FailedDaemonPod"].endswith("on node a, will try to kill it")
        assert told["SucceededDaemonPod"].endswith("on node a, will try to delete it")

    asyncio.run(go())


def test_made_anew_after_its_pods_were_kept_it_takes_over_pods_and_history() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("a"))
        api.put(DAEMONSETS, workload("DaemonSet"))
        async with running(api, [daemonset()]):
            await api.clock.advance(1)
            (before,), (revision,) = api.all(PODS), api.all(CONTROLLERREVISIONS)
            api.remove(DAEMONSETS, "default/db")
            for resource, obj in ((PODS, before), (CONTROLLERREVISIONS, revision)):
                api.change(resource, meta.key(obj), lambda obj: obj["metadata"].pop("ownerReferences"))
            await api.clock.advance(1)
            again = workload("DaemonSet")
            again["metadata"]["uid"] = "uid-again"
            api.put(DAEMONSETS, again)
            await api.clock.advance(1)
            assert [meta.uid(p) for p in api.all(PODS)] == [meta.uid(before)]
            (kept,) = api.all(CONTROLLERREVISIONS)
            assert (meta.name(kept), kept["metadata"]["ownerReferences"][0]["uid"]) == (
                meta.name(revision),
                "uid-again",
            )

    asyncio.run(go())


def test_of_revisions_with_one_template_the_newest_stays() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("a"))
        mine = api.put(DAEMONSETS, workload("DaemonSet"))
        for number in (1, 2):
            made = plan_history(mine, []).update
            made["metadata"] = {
                **made["metadata"],
                "name": f"db-{number}",
                "labels": {"app": "web", HASH: f"h{number}"},
            }
            api.put(CONTROLLERREVISIONS, {**made, "revision": number})
        api.put(PODS, pod("p", node="a", labels={"app": "web", HASH: "h1"}, owner=mine))
        async with running(api, [daemonset()]):
            await api.clock.advance(1)
            assert [meta.name(r) for r in api.all(CONTROLLERREVISIONS)] == ["db-2"]
            assert [meta.labels(p)[HASH] for p in api.all(PODS)] == ["h2"]

    asyncio.run(go())


def test_revisions_in_use_count_towards_a_daemon_sets_limit() -> None:
    mine = workload("DaemonSet", revisionHistoryLimit=1)
    revisions = [
        {"metadata": {"name": f"r{n}", "labels": {HASH: f"h{n}"}}, "revision": n} for n in (1, 2, 3, 4)
    ]
    gone = expendable(mine, revisions, {"h1"}, {"r4"}, used_count=True)
    assert [meta.name(r) for r in gone] == ["r2", "r3"]
    assert [meta.name(r) for r in expendable(mine, revisions, {"h1"}, {"r4"})] == ["r2"]


def test_daemons_follow_nodes_and_leave_revisions() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("a"))
        api.put(DAEMONSETS, workload("DaemonSet"))
        async with running(api, [daemonset()]):
            await api.clock.advance(1)
            (made,) = api.all(PODS)
            assert node_of(made) == "a"
            api.put(NODES, node("b"))
            await api.clock.advance(1)
            assert sorted(node_of(p) for p in api.all(PODS)) == ["a", "b"]
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
