"""The whole scheduler against the fake API."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

from podium.machinery import meta
from podium.machinery.errors import Conflict, Object
from podium.machinery.resource import Resource
from podium.resources.core.events import EVENTS
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.storage.storageclasses import STORAGECLASSES
from podium.scheduler.framework import Profile, Rejection
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.scheduler import Scheduler
from podium.scheduler.snapshot import Mask, Snapshot
from tests.runtime.fakes import settle
from tests.scheduler.fakes import SchedulingApi
from tests.volumes import claim, storage_class, volume


@asynccontextmanager
async def running(api: SchedulingApi, profile: Profile | None = None) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(api.client(), clock=api.clock, random=Random(1), profile=profile)
    task = asyncio.ensure_future(scheduler.run())
    await settle()
    try:
        yield scheduler
    finally:
        assert not task.done(), task.result()
        task.cancel()
        await asyncio.wait([task])


def run(test: Callable[[SchedulingApi], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(SchedulingApi())

    asyncio.run(main())


def events(api: SchedulingApi, name: str) -> list[tuple[str, str, str]]:
    return [
        (event["type"], event["reason"], event["message"])
        for event in api.all(EVENTS)
        if event["involvedObject"]["name"] == name
    ]


def condition(api: SchedulingApi, name: str) -> Object | None:
    found = api.get(PODS, f"default/{name}")
    assert found is not None
    return meta.find_condition(found, "PodScheduled")


def test_a_pod_is_bound_and_told_about() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n")
        async with running(api) as scheduler:
            api.add_pod("p")
            await settle()
            assert api.node_of("p") == "n"
            assert events(api, "p") == [("Normal", "Scheduled", "Successfully assigned default/p to n")]
            (event,) = api.all(EVENTS)
            assert event["source"] == {"component": "default-scheduler"}
            assert set(scheduler.queue.counts().values()) == {0}
            assert not scheduler.snapshot.is_assumed("uid-p")
            assert scheduler.snapshot.has_pod("uid-p")

    run(go)


def test_pods_that_are_none_of_its_business() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n")
        api.add_pod("other", schedulerName="other-scheduler")
        api.add_pod("done", phase="Succeeded")
        api.add_pod("going", deleting=True)
        api.add_pod("gated", schedulingGates=[{"name": "g"}])
        async with running(api):
            assert [api.node_of(name) for name in ("other", "done", "gated")] == ["", "", ""]
            assert api.all(EVENTS) == []
            api.change(PODS, "default/gated", lambda pod: pod["spec"].pop("schedulingGates"))
            await settle()
            assert api.node_of("gated") == "n"

    run(go)


def test_a_pod_waits_until_there_is_a_node() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_pod("p")
        async with running(api):
            message = "no nodes available to schedule pods"
            assert events(api, "p") == [("Warning", "FailedScheduling", message)]
            assert condition(api, "p") == {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "observedGeneration": 1,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "lastProbeTime": None,
            }
            api.add_node("n")
            await api.clock.advance(1)
            assert api.node_of("p") == "n"

    run(go)


def test_a_pod_waits_until_there_is_room() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n", cpu="2")
        api.add_pod("first", nodeName="n", requests={"cpu": "2"}, phase="Running")
        async with running(api):
            api.add_pod("p", requests={"cpu": "1"})
            await settle()
            found = condition(api, "p")
            assert found is not None
            assert (found["status"], found["reason"]) == ("False", "Unschedulable")
            assert found["message"].startswith("0/1 nodes are available: 1 Insufficient cpu. preemption: ")
            before = len(api.writes)
            await api.clock.advance(60)
            assert len(api.writes) == before, "without an event nothing is tried"
            # A pod that has run its course gives back what it had.
            api.change(PODS, "default/first", lambda pod: pod["status"].update(phase="Succeeded"))
            await settle()
            assert api.node_of("p") == "n"

    run(go)


def test_a_second_failure_keeps_the_transition_time() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n", cpu="1")
        async with running(api):
            api.add_pod("p", requests={"cpu": "2"})
            await settle()
            first = condition(api, "p")
            patches = Counter(verb for verb, *_ in api.writes)["patch"]
            await api.clock.advance(60)
            api.add_node("m", cpu="1")
            await settle()
            second = condition(api, "p")
            assert first and second
            assert second["message"].startswith("0/2 nodes are available: 2 Insufficient cpu.")
            assert second["lastTransitionTime"] == first["lastTransitionTime"]
            assert Counter(verb for verb, *_ in api.writes)["patch"] > patches

    run(go)


def test_nodes_change_under_waiting_pods() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n", taints=["k:NoSchedule"])
        async with running(api):
            api.add_pod("p")
            await api.clock.advance(20)
            api.change(NODES, "n", lambda node: node["status"].update(heartbeat="1"))
            await settle()
            assert api.node_of("p") == ""
            api.change(NODES, "n", lambda node: node["spec"].pop("taints"))
            await settle()
            assert api.node_of("p") == "n"

    run(go)


def test_a_failed_binding_is_undone_and_tried_again() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n", cpu="1")
        api.fail = lambda verb, resource, obj: ConnectionError("down") if verb == "bind" else None
        async with running(api) as scheduler:
            api.add_pod("p", requests={"cpu": "1"})
            await settle()
            assert not scheduler.snapshot.has_pod("uid-p")
            assert scheduler.queue.counts()["backoff"] == 1
            found = condition(api, "p")
            assert found is not None
            assert found["reason"] == "SchedulerError"
            assert events(api, "p")[-1][1] == "FailedScheduling"
            api.fail = lambda verb, resource, obj: None
            await api.clock.advance(1)
            assert api.node_of("p") == "n"

    run(go)


def test_a_binding_whose_answer_got_lost() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n")

        def lose(verb: str, resource: Resource, obj: Object) -> Exception | None:
            return ConnectionError("lost") if verb == "bind" else None

        api.fail_after = lose
        async with running(api) as scheduler:
            api.add_pod("p")
            await api.clock.advance(30)
            assert api.node_of("p") == "n"
            assert set(scheduler.queue.counts().values()) == {0}
            assert scheduler.snapshot.pod_count.tolist() == [1]
            assert Counter(verb for verb, *_ in api.writes)["bind"] == 1

    run(go)


def test_a_pod_deleted_while_being_bound() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n")

        def vanish(verb: str, resource: Resource, obj: Object) -> Exception | None:
            if verb == "bind":
                api.remove(PODS, "default/p")
            return None

        api.fail = vanish
        async with running(api) as scheduler:
            api.add_pod("p")
            await api.clock.advance(30)
            assert scheduler.snapshot.pod_count.tolist() == [0]
            assert set(scheduler.queue.counts().values()) == {0}
            assert events(api, "p") == []

    run(go)


def test_another_scheduler_was_faster() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n")
        api.add_node("m")

        def steal(verb: str, resource: Resource, obj: Object) -> Exception | None:
            if verb == "bind":
                api.fail = lambda *_: None
                api.change(PODS, "default/p", lambda pod: pod["spec"].update(nodeName="m"))
                return Conflict.of("pods", "", "p", "taken")
            return None

        api.fail = steal
        async with running(api) as scheduler:
            api.add_pod("p", requests={"cpu": "1"})
            await api.clock.advance(30)
            assert api.node_of("p") == "m"
            rows = {scheduler.snapshot.names[row]: row for row in range(2)}
            assert scheduler.snapshot.pod_count[rows["m"]] == 1
            assert scheduler.snapshot.pod_count[rows["n"]] == 0
            assert set(scheduler.queue.counts().values()) == {0}

    run(go)


def test_a_plugin_that_fails_stops_only_its_pod() -> None:
    class Stumbles:
        name = "Stumbles"
        events: frozenset[object] = frozenset()

        def filter(self, pod: PodInfo, nodes: Snapshot) -> Mask | None:
            if pod.name == "bad":
                raise ZeroDivisionError("oops")
            return None

        def explain(self, pod: PodInfo, nodes: Snapshot, rejected: Mask) -> Rejection:
            return Rejection()

    async def go(api: SchedulingApi) -> None:
        api.add_node("n")
        async with running(api, Profile(filters=(Stumbles(),))):  # type: ignore[arg-type]
            api.add_pod("bad")
            api.add_pod("good")
            await settle()
            assert api.node_of("good") == "n"
            found = condition(api, "bad")
            assert found is not None
            assert (found["reason"], found["message"]) == (
                "SchedulerError",
                "internal error: ZeroDivisionError('oops')",
            )

    run(go)


def test_five_hundred_pods_on_fifty_nodes() -> None:
    async def go(api: SchedulingApi) -> None:
        for number in range(50):
            api.add_node(f"n{number}", cpu="1")
        for number in range(500):
            api.add_pod(f"p{number}", requests={"cpu": "100m"}, owner="rs")
        async with running(api) as scheduler:
            for _ in range(100):
                await settle()
                if not scheduler.queue.counts()["active"]:
                    break
            await settle(300)
            assert set(Counter(api.node_of(f"p{n}") for n in range(500)).values()) == {10}
            assert set(scheduler.queue.counts().values()) == {0}

    run(go)


def test_after_a_restart_what_is_placed_counts() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("full", cpu="1")
        api.add_node("free", cpu="1")
        api.add_pod("old", nodeName="full", requests={"cpu": "1"}, phase="Running")
        api.add_pod("p", requests={"cpu": "1"})
        async with running(api):
            assert api.node_of("p") == "free"

    run(go)


LATE = storage_class("late", "kubernetes.io/no-provisioner", volumeBindingMode="WaitForFirstConsumer")
MADE = storage_class("made", volumeBindingMode="WaitForFirstConsumer")


def mounts(name: str) -> list[Object]:
    return [{"name": "data", "persistentVolumeClaim": {"claimName": name}}]


def finish_binding(api: SchedulingApi, name: str, volume_name: str) -> None:
    """Do the controllers' half."""

    def bound(claim: Object) -> None:
        claim["spec"]["volumeName"] = volume_name
        claim["metadata"].setdefault("annotations", {})["pv.kubernetes.io/bind-completed"] = "yes"

    api.change(PERSISTENTVOLUMECLAIMS, f"default/{name}", bound)


def test_one_volume_is_not_promised_to_two_pods() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n")
        api.put(STORAGECLASSES, LATE)
        api.put(PERSISTENTVOLUMES, volume(storageClassName="late"))
        for name in ("c", "d"):
            api.put(PERSISTENTVOLUMECLAIMS, claim(name, storageClassName="late"))
        async with running(api):
            api.add_pod("p", volumes=mounts("c"))
            api.add_pod("q", volumes=mounts("d"))
            await settle()
            stored = api.get(PERSISTENTVOLUMES, "v")
            assert stored is not None and stored["spec"]["claimRef"]["name"] == "c"
            assert (api.node_of("p"), api.node_of("q")) == ("", "")
            told = condition(api, "q")
            assert told is not None
            assert "1 node(s) didn't find available persistent volumes to bind" in told["message"]
            finish_binding(api, "c", "v")
            await settle()
            assert api.node_of("p") == "n"

    run(go)


def test_a_claim_is_told_its_node_and_the_pod_waits_for_the_volume() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n")
        api.put(STORAGECLASSES, MADE)
        api.put(PERSISTENTVOLUMECLAIMS, claim(storageClassName="made"))
        async with running(api) as scheduler:
            api.add_pod("p", volumes=mounts("c"))
            await settle()
            stored = api.get(PERSISTENTVOLUMECLAIMS, "default/c")
            assert stored is not None
            assert stored["metadata"]["annotations"] == {"volume.kubernetes.io/selected-node": "n"}
            assert api.node_of("p") == "" and scheduler.snapshot.is_assumed("uid-p")
            # The claim may be seen before its volume is.
            finish_binding(api, "c", "v")
            await settle()
            assert api.node_of("p") == ""
            api.put(PERSISTENTVOLUMES, volume(storageClassName="made", of=stored))
            await settle()
            assert api.node_of("p") == "n"

    run(go)


def test_a_provisioner_that_gives_a_node_back_is_asked_for_another() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n")
        api.put(STORAGECLASSES, MADE)
        api.put(PERSISTENTVOLUMECLAIMS, claim(storageClassName="made"))

        def without_node(claim: Object) -> None:
            claim["metadata"]["annotations"] = {"other": "x"}

        async with running(api) as scheduler:
            api.add_pod("p", volumes=mounts("c"))
            await settle()
            api.change(PERSISTENTVOLUMECLAIMS, "default/c", without_node)
            await settle()
            assert not scheduler.snapshot.is_assumed("uid-p")
            told = condition(api, "p")
            assert told is not None and told["message"] == (
                'running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "c"'
            )
            await api.clock.advance(2)
            await settle()
            stored = api.get(PERSISTENTVOLUMECLAIMS, "default/c")
            assert stored is not None
            assert stored["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] == "n"

    run(go)


def test_a_volume_that_never_comes_ends_the_waiting() -> None:
    async def go(api: SchedulingApi) -> None:
        api.add_node("n")
        api.put(STORAGECLASSES, MADE)
        api.put(PERSISTENTVOLUMECLAIMS, claim(storageClassName="made"))
        async with running(api) as scheduler:
            api.add_pod("p", volumes=mounts("c"))
            await settle()
            await api.clock.advance(601)
            told = condition(api, "p")
            assert told is not None and told["message"].endswith("binding volumes: context deadline exceeded")
            api.remove(PODS, "default/p")
            await settle()
            assert set(scheduler.queue.counts().values()) == {0}

    run(go)
