"""Nodes that fall silent, taints and who has to leave, pods of nodes that are gone, ranges of addresses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from podium.base.clock import rfc3339
from podium.controllers.node_ipam import MASK_SIZES, networks, node_ipam
from podium.controllers.node_ipam import plan as plan_ranges
from podium.controllers.node_lifecycle import NOT_READY, UNREACHABLE, node_lifecycle, plan
from podium.controllers.pod_gc import pod_gc
from podium.controllers.taint_eviction import Noticed, evict_at, taint_eviction
from podium.machinery import meta
from podium.machinery.errors import ApiError, Object
from podium.resources.coordination.leases import LEASES
from podium.resources.core.events import EVENTS
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from tests.controllers.builders import events, pod, running
from tests.runtime.fakes import FakeApi

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)


def node(name: str = "n1", ready: str = "True", **spec: Any) -> Object:
    conditions = (
        [{"type": "Ready", "status": ready, "lastHeartbeatTime": "2026-01-01T00:00:00Z"}] if ready else []
    )
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec,
        "status": {"conditions": conditions},
    }


def taints(obj: Object) -> set[tuple[str, str]]:
    return {
        (t["key"].removeprefix("node.kubernetes.io/"), t["effect"]) for t in obj["spec"].get("taints") or ()
    }


def test_a_silent_node_becomes_unknown() -> None:
    decided = plan(node(), silent=True, evict=True, now=NOW)
    assert decided.conditions is not None
    assert {c["type"]: (c["status"], c["reason"]) for c in decided.conditions} == {
        "Ready": ("Unknown", "NodeStatusUnknown"),
        "MemoryPressure": ("Unknown", "NodeStatusNeverUpdated"),
        "DiskPressure": ("Unknown", "NodeStatusNeverUpdated"),
        "PIDPressure": ("Unknown", "NodeStatusNeverUpdated"),
    }
    assert decided.conditions[0]["message"] == "Kubelet stopped posting node status."
    assert decided.taints is not None
    assert {(t["key"], t["effect"]) for t in decided.taints} == {
        (UNREACHABLE, "NoSchedule"),
        (UNREACHABLE, "NoExecute"),
    }


@pytest.mark.parametrize(
    ("before", "ready", "evict", "expected"),
    [
        ([], "True", True, None),
        ([], "False", True, {(NOT_READY, "NoSchedule"), (NOT_READY, "NoExecute")}),
        ([], "False", False, {(NOT_READY, "NoSchedule")}),
        ([{"key": NOT_READY, "effect": "NoSchedule"}], "True", True, set()),
        (
            [{"key": "mine", "effect": "NoExecute"}, {"key": UNREACHABLE, "effect": "NoExecute"}],
            "True",
            True,
            {("mine", "NoExecute")},
        ),
    ],
)
def test_taints_follow_the_conditions(before: list[Object], ready: str, evict: bool, expected: Any) -> None:
    decided = plan(node(ready=ready, taints=before), silent=False, evict=evict, now=NOW)
    found = None if decided.taints is None else {(t["key"], t["effect"]) for t in decided.taints}
    assert found == expected


def test_a_cordoned_node_is_tainted() -> None:
    decided = plan(node(unschedulable=True), silent=False, evict=True, now=NOW)
    assert decided.taints is not None
    assert [t["key"] for t in decided.taints] == ["node.kubernetes.io/unschedulable"]


TAINT = {"key": "k", "value": "v", "effect": "NoExecute", "timeAdded": "2026-01-01T00:59:00Z"}


@pytest.mark.parametrize(
    ("tolerations", "expected_s"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([{"key": "k", "operator": "Exists"}], None, id="for ever"),
        pytest.param([{"operator": "Exists"}], None, id="everything"),
        pytest.param(
            [{"key": "k", "value": "v", "effect": "NoExecute", "tolerationSeconds": 300}], 240, id="a while"
        ),
        pytest.param([{"key": "k", "value": "other"}], 0, id="another value"),
        pytest.param([{"key": "k", "operator": "Exists", "effect": "NoSchedule"}], 0, id="another effect"),
    ],
)
def test_when_a_pod_has_to_leave(tolerations: list[Object], expected_s: int | None) -> None:
    leave = evict_at({"spec": {"tolerations": tolerations}}, [TAINT], NOW)
    assert leave == (None if expected_s is None else NOW + timedelta(seconds=expected_s))


def test_a_node_that_stops_renewing_loses_its_pods_in_time() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("n1"))
        api.put(NODES, node("n2"))
        for name in ("n1", "n2"):
            lease = {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": {"renewTime": "0"}}
            api.put(LEASES, lease)
        patient, stubborn = pod("patient"), pod("stubborn")
        tolerate = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute"}
        patient["spec"]["tolerations"] = [{**tolerate, "tolerationSeconds": 300}]
        stubborn["spec"]["tolerations"] = [tolerate]
        for each in (patient, stubborn):
            api.put(PODS, each)

        async def beat(seconds: int, *names: str) -> None:
            for _ in range(seconds // 10):
                await api.clock.advance(10)
                for name in names:
                    lease = meta.deep_copy(api.table(LEASES)[f"kube-node-lease/{name}"])
                    api.put(LEASES, {**lease, "spec": {"renewTime": str(api.clock.monotonic_s())}})

        controllers = [node_lifecycle(40, api.clock), taint_eviction()]
        async with running(api, controllers):
            await beat(120, "n1", "n2")
            assert taints(api.table(NODES)["n1"]) == set()
            await beat(60, "n2")
            silent = api.table(NODES)["n1"]
            assert {c["type"]: c["status"] for c in silent["status"]["conditions"]}["Ready"] == "Unknown"
            assert taints(silent) == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
            assert taints(api.table(NODES)["n2"]) == set()
            assert not meta.condition_true(api.table(PODS)["default/stubborn"], "Ready")
            assert "NodeNotReady" in {e["reason"] for e in api.all(EVENTS)}
            assert not meta.deleting(api.table(PODS)["default/patient"])
            await beat(300, "n2")
            assert meta.deleting(api.table(PODS)["default/patient"])
            conditions = api.table(PODS)["default/patient"]["status"]["conditions"]
            assert [c["reason"] for c in conditions if c["type"] == "DisruptionTarget"] == [
                "DeletionByTaintManager"
            ]
            assert not meta.deleting(api.table(PODS)["default/stubborn"])
            api.change(
                NODES,
                "n1",
                lambda o: o["status"].update(
                    conditions=[
                        {"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T09:00:00Z"}
                    ]
                ),
            )
            await beat(30, "n1", "n2")
            assert taints(api.table(NODES)["n1"]) == set()

    asyncio.run(go())


def test_when_every_node_is_silent_nobody_is_evicted() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("n1"))
        api.put(PODS, pod("a"))
        async with running(api, [node_lifecycle(40, api.clock), taint_eviction()]):
            await api.clock.advance(1000)
            assert taints(api.table(NODES)["n1"]) == {("unreachable", "NoSchedule")}
            assert not meta.deleting(api.table(PODS)["default/a"])

    asyncio.run(go())


def test_a_new_node_has_a_minute_to_speak() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("n1", ready=""))
        async with running(api, [node_lifecycle(40, api.clock)]):
            await api.clock.advance(55)
            assert api.table(NODES)["n1"]["status"]["conditions"] == []
            await api.clock.advance(10)
            (first, *_) = api.table(NODES)["n1"]["status"]["conditions"]
            assert (first["status"], first["reason"]) == ("Unknown", "NodeStatusNeverUpdated")
            assert first["message"] == "Kubelet never posted node status."

    asyncio.run(go())


def test_pods_of_missing_nodes_are_ended() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("n1"))
        api.put(PODS, pod("stays", node="n1"))
        api.put(PODS, pod("orphan", node="gone"))
        unscheduled = pod("unscheduled", node="", deletionTimestamp="2026-01-01T00:00:00Z", finalizers=["x"])
        api.put(PODS, unscheduled)
        async with running(api, [pod_gc(api.clock)]):
            await api.clock.advance(30)
            assert "default/orphan" in api.table(PODS)
            await api.clock.advance(20)
            assert sorted(api.table(PODS)) == ["default/stays", "default/unscheduled"]
            assert ("delete", "pods", "unscheduled") in api.writes
            # It is held by a finalizer; it has failed all the same.
            assert api.table(PODS)["default/unscheduled"]["status"]["phase"] == "Failed"

    asyncio.run(go())


def test_pods_that_are_to_go_from_a_node_out_of_service_go() -> None:
    async def go() -> None:
        api = FakeApi()
        for name, ready in (("n1", "False"), ("n2", "True")):
            broken = node(name, ready=ready)
            broken["spec"]["taints"] = [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]
            api.put(NODES, broken)
        api.put(NODES, node("n3", ready="False"))
        for number in (1, 2, 3):
            api.put(PODS, pod(f"going{number}", node=f"n{number}"))
            await api.client().delete(PODS, f"going{number}", "default")
        api.put(PODS, pod("stays", node="n1"))
        async with running(api, [pod_gc(api.clock)]):
            await api.clock.advance(1)
            assert sorted(api.table(PODS)) == ["default/going2", "default/going3", "default/stays"]
            api.change(
                NODES, "n2", lambda n: n["status"].update(conditions=[{"type": "Ready", "status": "Unknown"}])
            )
            await api.clock.advance(1)
            assert sorted(api.table(PODS)) == ["default/going3", "default/stays"]

    asyncio.run(go())


def test_of_very_many_pods_that_have_ended_the_newest_stay() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("n1"))
        for number, phase in enumerate(("Succeeded", "Failed", "Failed", "Succeeded", "Running")):
            made = pod(f"p{number}", node="n1", phase=phase)
            made["metadata"]["creationTimestamp"] = f"2026-01-01T00:00:0{number}Z"
            made["status"]["reason"] = "Evicted" if number == 2 else ""
            api.put(PODS, made)
        async with running(api, [pod_gc(api.clock, ended_max=2)]):
            await api.clock.advance(1)
            assert sorted(api.table(PODS)) == ["default/p1", "default/p3", "default/p4"]
            api.change(PODS, "default/p4", lambda p: p["status"].update(phase="Failed"))
            await api.clock.advance(1)
            assert sorted(api.table(PODS)) == ["default/p3", "default/p4"]
        async with running(api, [pod_gc(api.clock, ended_max=0)]):
            await api.clock.advance(1)
            assert len(api.all(PODS)) == 2

    asyncio.run(go())


def test_a_condition_is_added_to_those_that_a_node_has_written_meanwhile() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(PODS, pod("orphan", node="gone", finalizers=["x"], generation=3))
        async with running(api, [pod_gc(api.clock)]):
            await api.clock.advance(1)
            api.hold(PODS)
            late = {"type": "Late", "status": "True"}
            api.change(PODS, "default/orphan", lambda p: p["status"]["conditions"].append(late))
            await api.clock.advance(45)
            conditions = {c["type"]: c for c in api.table(PODS)["default/orphan"]["status"]["conditions"]}
            assert sorted(conditions) == ["DisruptionTarget", "Late", "Ready"]
            assert conditions["DisruptionTarget"]["observedGeneration"] == 3

    asyncio.run(go())


def test_ranges() -> None:
    nodes = [node(name, podCIDR=cidr) if cidr else node(name) for name, cidr in
             (("a", "10.244.0.0/24"), ("b", ""), ("c", "10.244.2.0/24"), ("d", ""))]  # fmt: skip
    cluster, services = networks("10.244.0.0/16"), networks("10.244.3.0/24")
    assert plan_ranges(nodes, cluster, MASK_SIZES, services) == {
        "b": ["10.244.1.0/24"],
        "d": ["10.244.4.0/24"],
    }
    small = plan_ranges([node("x"), node("y")], networks("10.0.0.0/24"), MASK_SIZES, [])
    assert small == {"x": ["10.0.0.0/24"], "y": None}


def test_a_range_of_each_family() -> None:
    nodes = [node("a", podCIDR="10.0.0.0/24", podCIDRs=["10.0.0.0/24", "fd00::/64"]), node("b"), node("c")]
    given = plan_ranges(nodes, networks("10.0.0.0/22,fd00::/63"), MASK_SIZES, [])
    assert given == {"b": ["10.0.1.0/24", "fd00:0:0:1::/64"], "c": None}


def test_ranges_of_another_size_are_not_given_again() -> None:
    given = plan_ranges(
        [node("a", podCIDR="10.0.0.0/23"), node("b")], networks("10.0.0.0/22"), MASK_SIZES, []
    )
    assert given == {"b": ["10.0.2.0/24"]}


def test_a_range_that_cannot_be_written_is_told_of() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("n1"))
        api.fail = lambda verb, resource, obj: (
            ApiError("no") if (verb, resource) == ("patch", NODES) else None
        )
        async with running(api, [node_ipam("10.0.0.0/22")]):
            await api.clock.advance(1)
        assert ("CIDRAssignmentFailed", "Node n1 status is now: CIDRAssignmentFailed") in events(api)

    asyncio.run(go())


def test_no_range_is_given_twice_and_ranges_come_back() -> None:
    async def go() -> None:
        api = FakeApi()
        async with running(api, [node_ipam("10.0.0.0/22")]):
            for number in range(6):
                api.put(NODES, node(f"n{number}"))
                if number == 2:
                    api.hold(NODES)
                    await api.clock.advance(1)
                    api.release(NODES)
            await api.clock.advance(5)
            given = [n["spec"].get("podCIDR") for n in api.all(NODES)]
            assert len({cidr for cidr in given if cidr}) == 4
            assert given.count(None) == 2
            api.remove(NODES, "n0")
            await api.clock.advance(5)
            assert sum(1 for n in api.all(NODES) if n["spec"].get("podCIDR")) == 4

    asyncio.run(go())


def test_a_taint_without_a_time_counts_from_when_it_was_noticed() -> None:
    noticed = Noticed()
    undated = {"key": "evict", "effect": "NoExecute"}
    later = NOW + timedelta(seconds=5)
    assert noticed.dated("n", [undated], NOW)[0]["timeAdded"] == rfc3339(NOW)
    assert noticed.dated("n", [undated], later)[0]["timeAdded"] == rfc3339(NOW)
    assert noticed.dated("n", [], later) == []
    assert noticed.dated("n", [undated], later)[0]["timeAdded"] == rfc3339(later)


def test_nodes_that_come_go_and_fail_are_told_of() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, node("n1"))
        api.put(NODES, node("n2"))
        async with running(api, [node_lifecycle(40, api.clock)]):
            await api.clock.advance(1)
            api.change(NODES, "n1", lambda o: o["status"]["conditions"][0].update(status="False"))
            await api.clock.advance(1)
            told = dict(events(api))
            assert told["RegisteredNode"] == "Node n2 event: Registered Node n2 in Controller"
            assert "NodeNotReady" not in told, "the kubelet has said so itself"
            await api.clock.advance(60)
            assert ("NodeNotReady", "Node n2 status is now: NodeNotReady") in events(api)
            assert ("NodeNotReady", "Node n1 status is now: NodeNotReady") not in events(api)
            api.remove(NODES, "n2")
            await api.clock.advance(1)
            assert ("RemovingNode", "Node n2 event: Removing Node n2 from Controller") in events(api)

    asyncio.run(go())


def test_an_eviction_that_is_cancelled_is_told_of() -> None:
    async def go() -> None:
        api = FakeApi()
        tainted = node("n1", taints=[{"key": "k", "effect": "NoExecute"}])
        api.put(NODES, tainted)
        patient, forgotten = pod("patient"), pod("forgotten")
        for each in (patient, forgotten):
            each["spec"]["tolerations"] = [{"key": "k", "operator": "Exists", "tolerationSeconds": 60}]
            api.put(PODS, each)
        async with running(api, [taint_eviction()]):
            await api.clock.advance(30)
            api.remove(PODS, "default/forgotten")
            await api.clock.advance(1)
            api.change(NODES, "n1", lambda o: o["spec"].update(taints=[]))
            await api.clock.advance(60)
            assert not meta.deleting(api.table(PODS)["default/patient"])
        assert sorted(message for _, message in events(api)) == [
            "Cancelling deletion of Pod default/forgotten",
            "Cancelling deletion of Pod default/patient",
        ]
        assert {reason for reason, _ in events(api)} == {"TaintManagerEviction"}

    asyncio.run(go())
